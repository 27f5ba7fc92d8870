"""The engines while tasks come, take another configuration, and go: the others notice nothing of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.override import Override
from microscaling.demand.task import NOT_YET, Task
from microscaling.engine.meter import MeterThread
from microscaling.engine.server import DemandThread, ServerEngine
from microscaling.server.domain.reports import demand_message
from tests.engine.driven import Driven, Primed, falls_back, queue_task
from tests.engine.test_local import Run, numbered, stats, task
from tests.metric.faulty import Server, answers, hangs
from tests.metric.nsqd import wait_for


class Changing(Driven):
    """Follows the tasks as the engine's thread does."""

    def change(self, *come: Task, gone: str = "") -> None:
        since = self.tasks.generation
        limits.reconfigure(self.tasks, Change(come, frozenset(gone.split())))
        self.readings.follow(self.tasks.tasks, since)
        self.decider.follow(since)

    def find(self, name: str) -> Task:
        return self.tasks.get_task(name)


def primed(found: Task) -> int:
    assert isinstance(found.target, Primed)
    return found.target.resets


def test_a_task_that_comes_is_held_until_it_is_measured_and_then_decided() -> None:
    run = Changing(queue_task("a", 2))
    run.beat(a=50)
    run.change(queue_task("b", 0, min_containers=1))
    assert run.find("b").held == NOT_YET
    assert run.beat(a=50) == [2, 1], "its minimum needs no reading"
    assert run.beat(a=50, b=500) == [2, 2]


def test_nothing_of_the_others_is_lost() -> None:
    run = Changing(queue_task("a", 2, **falls_back(5)), window_s=60.0)
    run.beat(a=50)
    run.beat()
    run.beat()
    resets = primed(run.find("a"))
    run.change(queue_task("b", 1))
    assert run.beat(b=50) == [5, 1], "the third failure in a row, as if nothing had happened"
    run.change(gone="b")
    assert run.beat(a=500) == [6]
    for _ in range(3):
        run.change(queue_task("b", 1))
        assert run.beat(a=0, b=50)[0] == 6, "its window goes on"
        run.change(gone="b")
    assert primed(run.find("a")) == resets + 1, "once, after its failures"


def test_a_task_that_is_paused_stays_so_for_all_who_look() -> None:
    """The next beat may have to wait for the readings of those that have come."""
    run = Changing(queue_task("a", 2))
    run.tasks.overrides["a"] = Override()
    run.beat(a=50)
    run.change(queue_task("b", 0))
    assert (run.find("a").override, run.find("b").override) == ("paused by hand", "")


def test_idle_time_goes_on() -> None:
    def demands(changes: bool) -> list[int]:
        run = Changing(queue_task("a", 3, idle_s=3.0, target=Primed(1)))
        found = []
        for number in range(8):
            if changes:
                run.change(queue_task(f"b{number}", 0))
            found.append(run.beat(a=0)[0])
        return found

    assert demands(changes=True) == demands(changes=False) == [3, 3, 3, 3, 3, 3, 2, 1]


def test_another_rule_and_another_metric_begin_anew_and_keep_the_demand() -> None:
    run = Changing(queue_task("a", 4, **falls_back(9)))
    for _ in range(3):
        run.beat()
    assert run.find("a").falling_back
    run.change(queue_task("a", 0, priority=7, **falls_back(5)))
    found = run.find("a")
    assert (found.demand, found.priority, found.held, found.falling_back) == (9, 7, NOT_YET, "")
    assert isinstance(found.target, Primed)
    run.beat()
    assert found.demand == 9, "held: one failure is not enough for a fallback"
    assert run.beat(a=100) == [10]


def test_a_source_that_tasks_share_is_asked_once_whoever_comes_or_goes() -> None:
    shared = [queue_task(name, 1) for name in "abc"]
    for each in shared:
        assert each.metric.source is not None
        each.metric.source.key = "shared"
    run = Changing(*shared[:2])
    run.beat(a=50)
    (poll,) = run.readings.polls
    run.change(shared[2])
    run.change(gone="a")
    assert run.readings.polls == [poll]
    assert poll.reading is not None
    run.beat(a=50)
    assert [each.held for each in run.tasks.tasks] == ["", ""]
    run.change(gone="b c")
    assert run.readings.polls == []


def test_what_went_is_forgotten() -> None:
    run = Changing(queue_task("a", 1, **falls_back(5)), window_s=5.0)
    run.beat(a=50)
    run.change(gone="a")
    run.change(queue_task("a", 0, **falls_back(5)), queue_task("b", 0))
    assert run.beat(b=50)[0] == 0
    assert "not measured yet" not in run.find("b").held
    run.change(gone="a b")
    assert run.beat() == []


def test_a_first_line_for_each_that_comes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mssdemand")
    run = Changing(queue_task("a", 1))
    run.beat(a=50)
    run.change(queue_task("b", 1))
    run.beat(a=50, b=50)
    run.change(queue_task("a", 1))
    run.beat(a=50, b=50)
    firsts = [message.partition(":")[0] for message in caplog.messages if " run" in message]
    assert firsts == ["a", "b", "a"]


# With threads


def change(run: Run, *come: Task, gone: str = "") -> None:
    with run.tasks as tasks:
        limits.reconfigure(tasks, Change(come, frozenset(gone.split())))


def test_threads_of_sources_come_and_go_with_their_tasks() -> None:
    first, second = Server(numbered), Server(answers(stats(50)))
    with first, second, Run(task("a", first.endpoint)) as run:
        a = run.tasks.get_task("a")
        run.decisions(a, 2)
        before = run.engine.threads
        change(run, task("b", second.endpoint, demand=0, requested=0, running=0))
        wait_for(lambda: run.tasks.get_task("b").metric.current == 50)
        assert run.engine.threads[:2] == before
        (gone,) = run.engine.threads[2:]
        change(run, gone="b")
        wait_for(lambda: not gone.is_alive())
        assert run.engine.threads == before
        resets = a.target.seen
        run.decisions(a, 2)
        assert a.target.seen == sorted(resets), "each answer counts, in its turn"
    assert not any(thread.is_alive() for thread in [*before, gone])


def test_the_end_does_not_wait_for_the_source_of_a_task_that_went() -> None:
    with Server(hangs) as server:
        with Run(task("a", server.endpoint, 1), task("toy")) as run:
            toy = run.tasks.get_task("toy")
            run.decisions(toy, 1)
            hanging = run.engine.threads[1]
            change(run, gone="a")
            wait_for(lambda: hanging not in run.engine.threads)
            run.decisions(toy, 2)
        hanging.join(60)
        assert not hanging.is_alive()


def test_an_engine_without_tasks_takes_the_first_that_comes() -> None:
    with Server(answers(stats(150))) as server, Run() as run:
        assert run.engine.decided.wait(60)
        change(run, task("a", server.endpoint))
        wait_for(lambda: run.tasks.get_task("a").demand > 3)


def test_the_servers_last_word_counts_for_a_task_that_comes_later() -> None:
    run = Run(task("toy"))
    thread = DemandThread(ServerEngine(None), run.tasks, run.slot)  # type: ignore[arg-type]
    thread.hear(demand_message({"toy": 4, "b": 6}).encode())
    thread.cycle()
    change(run, task("b"))
    thread.cycle()
    assert {each.name: each.demand for each in run.tasks.tasks} == {"toy": 4, "b": 6}
    change(run, gone="b")
    thread.hear(demand_message({"toy": 5}).encode())
    assert thread.wants == {"toy": 5}, "what has gone is forgotten"


def test_measurements_for_the_server_follow_too() -> None:
    told: list[Any] = []
    with Server(answers(stats(50))) as server:
        run = Run(task("toy"))
        meter = MeterThread(run.tasks, 0.1, followed=lambda: told.append(meter.threads))
        meter.start()
        try:
            change(run, task("a", server.endpoint))
            wait_for(lambda: run.tasks.get_task("a").metric.current == 50)
            (threads,) = told
            assert [thread.name for thread in threads][:1] == ["meter"]
            assert len(threads) == 2
        finally:
            meter.stop()
            meter.join(60)
            for thread in meter.threads:
                thread.stop()
                if thread.ident is not None:
                    thread.join(60)
