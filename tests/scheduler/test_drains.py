"""Containers with jobs: which go, when they get their SIGTERM, and who waits for them. In virtual time."""

from __future__ import annotations

import dataclasses
import logging
import re

import pytest

from microscaling.demand.drain import Busy, Drain, Way
from microscaling.demand.task import Task
from microscaling.scheduler.containers.views import views
from tests.scheduler.busy_engine import World

FILE = Busy(Way.FILE, "/tmp/busy")


def task(name: str, priority: int = 1, busy: Busy | None = FILE, drain: Drain | None = None) -> Task:
    made = Task(name, priority=priority, max_containers=8, max_delta=8)
    made.busy, made.drain = busy, drain or Drain()
    return made


def world(*tasks: Task, cap: int = 8, **demand: int) -> World:
    found = World(cap, *tasks)
    found.decide(**demand)
    found.run(3)
    return found


def test_the_idle_one_goes_although_it_is_the_oldest() -> None:
    of = world(task("a"), a=4)
    _oldest, *others = of.running()
    for real in others:
        of.work(real)
    of.decide(a=3)
    of.run(1)
    assert of.running() == others
    assert of.engine.killed == []
    assert of.tasks.tasks[0].draining == 0


def test_a_busy_one_goes_when_its_job_is_done_and_keeps_its_place_until_then() -> None:
    of = world(task("a"), task("b", 2), a=8)
    for real in of.running():
        of.work(real, 20)
    of.decide(a=6, b=2)
    of.run(15)
    a, b = of.tasks.tasks
    assert (len(of.running("a")), len(of.running("b"))) == (8, 0)
    assert (a.requested, a.running, a.stopping, a.draining, a.serving()) == (6, 8, 2, 2, 6)
    assert (b.requested, b.running, b.parked) == (2, 0, 2)
    of.run(8)
    assert (len(of.running("a")), len(of.running("b"))) == (6, 2)
    assert of.engine.killed == []
    assert (a.draining, a.drains_until) == (0, None)


def test_the_first_that_becomes_idle_goes_whichever_drains(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    of = world(task("a"), a=4)
    first, *others = of.running()
    for real in others:
        of.work(real)
    of.work(first, 10)
    of.decide(a=3)
    of.run(5)
    assert len(of.running()) == 4
    of.run(8)
    assert of.running() == others
    assert of.engine.killed == []
    assert caplog.text.count("drains: it is busy") == 1
    assert "is wanted again: its drain is called off" in caplog.text


def test_without_a_quiet_signal_a_drain_is_called_off_when_more_are_wanted() -> None:
    of = world(task("a"), a=4)
    before = of.running()
    for real in before:
        of.work(real)
    of.decide(a=1)
    of.run(5)
    assert of.tasks.tasks[0].draining == 3
    of.decide(a=3)
    of.run(5)
    of.decide(a=4)
    of.run(5)
    assert of.running() == before
    assert of.tasks.tasks[0].draining == 0
    assert len(of.engine.real) == 4, "none was created in place of one that drained"


def test_the_quiet_signal_goes_to_the_chosen_ones_only_and_before_the_stop() -> None:
    of = world(task("a", drain=Drain("TSTP")), a=4)
    idle, *others = of.running()
    for real in others:
        of.work(real)
    of.decide(a=3)
    of.run(2)
    assert of.running() == others
    assert of.engine.worker(idle.id).heard == ["QUIET"]
    assert [of.engine.worker(real.id).heard for real in others] == [[], [], []]


def test_what_was_told_to_be_quiet_and_cannot_come_back_is_replaced() -> None:
    of = world(task("a", drain=Drain("TSTP")), cap=5, a=4)
    before = of.running()
    for real in before:
        of.work(real, 30)
    of.decide(a=3)
    of.run(3)
    of.decide(a=4)
    of.run(3)
    assert len(of.running()) == 5, "a new one, and the one that drains"
    of.run(30)
    assert len(of.running()) == 4
    assert before[-1] not in of.running()
    assert of.engine.killed == []


@pytest.mark.parametrize("resume", [Drain("TSTP", resume_signal="CONT"), Drain("TSTP", resume_exec=("go",))])
def test_with_resume_it_is_told_to_take_jobs_again(resume: Drain) -> None:
    of = world(task("a", drain=resume), a=4)
    before = of.running()
    for real in before:
        of.work(real)
    of.decide(a=3)
    of.run(3)
    of.decide(a=4)
    of.run(3)
    assert of.running() == before
    worker = of.engine.worker(before[-1].id)
    assert (worker.heard, worker.quiet) == (["QUIET", "RESUME"], False)


def test_one_that_cannot_be_told_to_take_jobs_again_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    of = world(task("a", drain=Drain("TSTP", resume_signal="CONT")), cap=6, a=4)
    for real in of.running():
        of.work(real)
    last = of.running()[-1]
    of.decide(a=3)
    of.run(3)
    of.engine.worker(last.id).deaf = True
    of.decide(a=4)
    of.run(20)
    assert of.tasks.tasks[0].draining == 1
    assert len(of.running()) == 5
    of.work(last, 0)
    of.run(3)
    assert last not in of.running()
    assert len(of.running()) == 4
    assert caplog.text.count("cannot tell to take jobs again") == 1


def test_at_the_end_of_its_time_it_gets_sigterm_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    of = world(task("a", drain=Drain(seconds=20)), a=2)
    for real in of.running():
        of.work(real)
    of.decide(a=1)
    of.run(19)
    assert len(of.running()) == 2
    of.run(3)
    assert len(of.running()) == 1
    assert of.engine.killed == of.engine.late
    assert len(of.engine.late) == 1
    assert "drains: it is busy; at most 20 s" in caplog.text
    assert "is busy after 20 s of drain: it gets its stop signal now" in caplog.text


def test_what_cannot_be_looked_at_counts_as_busy() -> None:
    of = world(task("a", drain=Drain(seconds=20)), a=3)
    for real in of.running():
        of.work(real, 0, hidden=True)
    of.decide(a=2)
    of.run(18)
    assert len(of.running()) == 3
    of.run(5)
    assert len(of.running()) == 2


def test_without_a_way_to_tell_it_has_all_of_its_time_unless_it_ends() -> None:
    of = world(task("a", busy=None, drain=Drain("TERM", seconds=30)), a=3)
    *_, other, last = of.running()
    of.decide(a=1)
    of.run(5)
    assert [of.engine.worker(real.id).heard for real in (other, last)] == [["QUIET"], ["QUIET"]]
    of.engine.kill(last, 0)
    of.run(5)
    assert (len(of.running()), of.engine.looks) == (2, 0)
    of.run(25)
    assert len(of.running()) == 1


def test_the_time_is_shorter_while_others_wait() -> None:
    of = world(task("a", 1), task("b", 2, drain=Drain(seconds=600, seconds_for_others=10)), b=8)
    for real in of.running():
        of.work(real)
    of.decide(b=7)
    of.run(30)
    assert len(of.running("b")) == 8
    of.decide(b=6, a=2)
    of.run(8)
    assert len(of.running("a")) == 0
    of.run(6)
    assert (len(of.running("a")), len(of.running("b"))) == (2, 6)


def test_with_holds_place_false_others_start_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    of = world(task("a"), task("b", 2, drain=Drain(holds_place=False)), b=8)
    of.engine.tasks.max_containers = 8
    for real in of.running():
        of.work(real)
    of.decide(a=3, b=5)
    of.engine.excess = []
    for _ in range(40):
        of.engine.run(0.05)
        of.engine.tick()
    assert (len(of.running("a")), len(of.running("b"))) == (3, 8)
    draining = of.tasks.get_task("b").draining
    assert len(of.running()) - draining == 8, "over the cap by what drains"
    assert caplog.text.count("at most 60 min; others may start in its place, over the cap") == 3
    shown = views(of.engine.reconciler, "b", of.engine.now, of.engine.reconciler.drains.deadline)
    assert sum(view.state.endswith("at most 60 min, beyond the cap)") for view in shown) == 3
    of.decide(a=1, b=7)
    for _ in range(40):
        of.engine.run(0.05)
        of.engine.tick()
    assert len(of.running()) - of.tasks.get_task("b").draining <= 8


def test_decisions_go_on_around_it() -> None:
    """One container that drains for an hour keeps its own place only."""
    of = world(task("web", 1, None), task("mail", 2), task("batch", 3), batch=8)
    of.tasks.get_task("web").drain = None
    for real in of.running():
        of.work(real)
    of.decide(batch=7, web=1)
    of.run(10)
    of.work(of.running()[0], 0)
    of.run(3)
    assert {name: len(of.running(name)) for name in ("web", "batch")} == {"web": 1, "batch": 7}
    of.decide(batch=4, web=1, mail=3)
    of.run(5)
    assert len(of.running("mail")) == 0
    for real in of.running("batch"):
        of.work(real, 0)
    of.run(5)
    assert {name: len(of.running(name)) for name in ("web", "mail", "batch")} == {
        "web": 1,
        "mail": 3,
        "batch": 4,
    }
    assert of.engine.killed == []


def test_looks_are_made_only_while_one_drains_or_somebody_asks() -> None:
    of = world(task("a"), a=4)
    assert of.engine.looks == 0
    for real in of.running():
        of.work(real)
    of.decide(a=3)
    of.run(10)
    assert 0 < of.engine.looks <= 4 * 10 / FILE.every_s + 8
    of.decide(a=4)
    of.run(1)
    before = of.engine.looks
    of.run(10)
    assert of.engine.looks == before
    of.engine.reconciler.looks.show("a", of.engine.now)
    of.run(10)
    assert 8 <= of.engine.looks - before <= 12, "every 2 s, for 5 s"


def test_a_job_that_begins_between_two_looks_is_not_ended() -> None:
    of = world(task("a"), a=2)
    busy, last = of.running()
    of.work(busy)
    of.decide(a=1)
    of.engine.run(0.03)  # one look has found it idle
    of.work(last)
    of.run(10)
    assert of.engine.killed == []
    assert len(of.running()) == 2


def test_a_change_of_the_configuration_counts_at_once() -> None:
    changing = task("a", drain=Drain(seconds=600))
    of = world(changing, a=2)
    for real in of.running():
        of.work(real)
    of.decide(a=1)
    of.run(10)
    assert len(of.running()) == 2
    changing.drain = dataclasses.replace(changing.drain or Drain(), seconds=5)
    of.run(2)
    assert len(of.running()) == 1


def test_the_end_of_the_agent_drains_too_within_its_time() -> None:
    of = world(task("a"), a=4)
    first, *others = of.running()
    for real in others:
        of.work(real)
    of.work(first, 8)
    of.engine.reconciler.drains.end_s = 20
    of.engine.reconciler.drain()
    of.decide(a=0)
    of.run(15)
    assert of.running() == others
    assert not of.engine.reconciler.idle
    of.run(8)
    assert of.running() == []
    assert set(of.engine.killed) == {real.id for real in others} == set(of.engine.late)
    assert of.engine.reconciler.idle


def test_leave_leaves_those_that_drain() -> None:
    of = world(task("a"), a=4)
    for real in of.running():
        of.work(real)
    of.decide(a=2)
    of.run(3)
    of.engine.reconciler.leave()
    of.engine.tick()
    of.run(2)
    assert of.engine.reconciler.idle
    assert len(of.running()) == 4


def test_one_that_was_never_healthy_goes_first_and_one_that_was_does_not() -> None:
    of = world(task("a"), a=4)
    never, once, *others = of.running()
    for real in (never, *others):
        of.work(real)
    containers = {c.id: c for c in of.engine.reconciler.all()}
    containers[never.id].healthy, containers[once.id].healthy = False, True
    of.decide(a=3)
    of.work(never, 0)  # nothing is lost with it
    of.run(3)
    assert of.running() == [once, *others]


def test_it_is_shown_who_is_busy_who_drains_and_who_waits_for_whom() -> None:
    of = world(task("a"), task("b", 2), a=8)
    for real in of.running():
        of.work(real)
    of.decide(a=7, b=1)
    of.run(12)
    reconciler = of.engine.reconciler
    shown = views(reconciler, "a", of.engine.now, reconciler.drains.deadline)
    assert [view.activity for view in shown] == ["busy"] * 8
    assert [view.state for view in shown[:7]] == [shown[0].state] * 7
    assert re.fullmatch(r"running \(busy for 1[12] s\)", shown[0].state)
    assert re.fullmatch(r"draining \(busy for 1[12] s, at most 60 min\)", shown[7].state)
    assert [view.state for view in views(reconciler, "b", of.engine.now)] == ["waits for a place"]
    of.decide(a=8, b=0)
    of.run(20)
    shown = views(reconciler, "a", of.engine.now)
    assert {(view.state, view.activity) for view in shown} == {("running", "")}, "nobody looks any more"


@pytest.mark.parametrize("drain", [Drain(), Drain("USR1")])
def test_one_that_has_just_started_gets_no_signal_yet(drain: Drain) -> None:
    """Its program may not have a handler, and would go on to take a job."""
    of = world(task("a", drain=drain), a=1)
    of.work(of.running()[0])
    of.decide(a=3)
    of.run(1)
    assert len(of.running()) == 3
    young = of.running()[1:]
    of.decide(a=1)
    of.run(1)
    assert of.running()[1:] == young
    assert [of.engine.worker(real.id).heard for real in young] == [[], []]
    of.work(young[0], 5)
    of.run(3)
    assert len(of.running()) == 2
    of.run(4)
    assert len(of.running()) == 1
    assert of.engine.killed == []


def test_the_log_has_the_begin_and_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    of = world(task("a"), a=2)
    for real in of.running():
        of.work(real)
    of.decide(a=1)
    of.run(10)
    of.work(of.running()[-1], 0)
    of.run(3)
    begin, end = caplog.messages
    assert re.fullmatch(r"a: container \w+ drains: it is busy; at most 60 min", begin)
    assert re.fullmatch(r"a: container \w+ is idle, 1[01] s after the begin of its drain", end)


def test_one_that_the_engine_starts_again_is_asked_again() -> None:
    of = world(task("a", drain=Drain("TSTP")), a=2)
    for real in of.running():
        of.work(real)
    last = of.running()[-1]
    of.decide(a=1)
    of.run(5)
    assert of.engine.worker(last.id).heard == ["QUIET"]
    of.engine.crash(last, 1, back_after_s=1.0)
    of.work(last)
    of.run(5)
    assert of.engine.worker(last.id).heard == ["QUIET", "QUIET"]
    of.work(last, 0)
    of.run(3)
    assert last not in of.running()


def test_where_the_source_shows_none_and_need_not_all_is_as_without_a_sign() -> None:
    """The newest go at once, as ever, at work or not."""
    of = World(8, task("a"))
    of.decide(a=4)
    of.run(3)
    oldest, *others = of.running()
    for real in (oldest, *others):
        of.work(real, unseen=True)
    of.decide(a=1)
    of.run(0.5)
    assert of.running() == [oldest]
    assert of.engine.looks > 0
    assert set(of.engine.killed) == {real.id for real in others}
    assert of.tasks.containers is None or of.tasks.tasks[0].draining == 0
