"""Where rules come to rest: something waits and nothing runs, or nothing waits and much runs."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.metric.measurement import Measurement
from microscaling.settings import Settings
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.engine.driven import BEAT_S, Driven, Length, falls_back, queue_task

IDLE_S = 10.0
SETTINGS = Settings()


def by_queue(name: str, has: int, priority: int = 1, target: int = 10, **more: Any) -> Task:
    return queue_task(name, has, priority, **{"target": QueueLengthTarget(target, SETTINGS), **more})


def by_simple(name: str, has: int, priority: int = 1, target: int = 10, **more: Any) -> Task:
    return queue_task(name, has, priority, **{"target": SimpleQueueLengthTarget(target), **more})


def rest(has: int, priority: int = 9, **more: Any) -> Task:
    fields = {"max_containers": 20, "max_delta": 20, "target": RemainderTarget(20), **more}
    return Task("rest", has, has, has, priority=priority, **fields)


RULES = pytest.mark.parametrize("made", [by_queue, by_simple], ids=["Queue", "SimpleQueue"])


# Something waits


@RULES
@pytest.mark.parametrize("target", [1, 7, 10, 12, 13, 50, 1000])
@pytest.mark.parametrize("waiting", [1, 2, 6, 10])
def test_whatever_waits_is_worked_on_by_one(made: Any, target: int, waiting: int) -> None:
    run = Driven(made("a", 0, target=target))
    run.beat(a=0)
    assert [run.beat(a=waiting)[0] >= 1 for _ in range(4)] == [True] * 4
    assert all(run.beat(a=waiting)[0] >= 1 for _ in range(100)), "and stays"


@RULES
def test_one_to_none_to_one_stops_nothing(made: Any) -> None:
    """98 of 100 jobs are done: the rule can do with none, and the wish is part of the same decision."""
    run = Driven(made("a", 1, target=50))
    for _ in range(100):
        assert run.measure(a=2) == [1]


def test_what_was_given_for_more_is_not_taken_by_what_gave_it() -> None:
    """The first has none and is short, the second gives all six: it does not take one of them again."""
    first, second = by_queue("first", 0, target=13), by_queue("second", 6, priority=2, target=13)
    run = Driven(first, second, cap=6)
    for _ in range(8):
        run.beat(first=0, second=300)
    run.measure(first=200, second=300)
    assert run.demand() == [1, 0]
    assert str(second.reason) == "gives 6 to first, which comes first and is short of 20"
    run.settle()
    assert run.demand() == [6, 0]


def test_the_docs_queue_of_60_jobs() -> None:
    run = Driven(by_queue("mailer", 0, max_containers=4))
    waiting, seen = 60.0, []
    for _ in range(400):
        waiting = max(0.0, waiting - run.demand()[0] * 0.25)
        seen.append(run.beat(mailer=int(waiting + 0.999))[0])
    assert waiting == 0, seen
    assert seen[-1] == 0


@pytest.mark.parametrize(
    "fields",
    [{"max_containers": 0}, {"is_scalable": False}, {"backing_off": True}, {"max_delta": 0}],
    ids=str,
)
def test_not_for(fields: dict[str, Any]) -> None:
    run = Driven(by_queue("a", 0, **fields))
    assert [run.beat(a=5) for _ in range(5)] == [[0]] * 5


def test_not_for_one_that_is_held() -> None:
    run = Driven(by_queue("a", 0))
    run.beat(a=0)
    assert [run.beat() for _ in range(5)] == [[0]] * 5


def test_not_against_the_owners_own_word() -> None:
    run = Driven(by_queue("a", 3, **falls_back(0, 1)))
    run.beat(a=5)
    assert [run.beat(), run.beat()] == [[0], [0]]
    assert run.beat(a=5) == [1]


def test_not_above_the_cap() -> None:
    assert Driven(by_queue("a", 0), cap=0).beat(a=5) == [0]


def test_a_less_important_one_gives_what_it_has_above_its_minimum() -> None:
    for least, expected in ((3, [1, 9]), (10, [0, 10])):
        high, low = by_queue("high", 0, 1), rest(10, min_containers=least)
        run = Driven(high, low, cap=10)
        assert [run.beat(high=5) for _ in range(5)] == [expected] * 5
    high, low = by_queue("high", 0, 1), rest(10)
    run = Driven(high, low, cap=10)
    run.measure(high=5)
    assert [str(task.reason) for task in (high, low)] == [
        "queue 5 of target 10: something waits and it has none, takes 1 from rest",
        "gives 1 to high, which comes first and has none",
    ]


@pytest.mark.parametrize("priority", [1, 2], ids=["more important", "as important"])
def test_others_do_not(priority: int) -> None:
    a, b = by_queue("a", 10, priority), by_queue("b", 0, 2)
    run = Driven(a, b, cap=10)
    assert [run.beat(a=10, b=5) for _ in range(5)] == [[10, 0]] * 5


def test_one_that_is_held_gives_too() -> None:
    run = Driven(by_queue("a", 0, 1), by_queue("b", 10, 2), cap=10)
    assert run.beat(a=5) == [1, 9]


def test_one_that_backs_off_or_is_not_scalable_gives_nothing() -> None:
    for fields in ({"backing_off": True}, {"is_scalable": False}):
        run = Driven(by_queue("a", 0, 1), by_queue("b", 10, 2, **fields), cap=10)
        assert run.beat(a=5, b=10) == [0, 10]


def test_what_was_given_for_a_more_important_one_is_not_taken_for_it() -> None:
    high, low = by_queue("high", 9, 1, target=50), by_queue("low", 1, 2)
    run = Driven(high, low, cap=10)
    run.measure(high=60, low=5)
    assert run.demand() == [9, 1], "nothing to do yet: the error is too small"
    seen = [run.beat(high=90, low=5) for _ in range(6)]
    assert seen[0][1] == 0
    assert [counts[1] for counts in seen] == [0] * 6
    assert seen[-1] == [10, 0]


def test_each_that_lacks_one_the_most_important_first() -> None:
    tasks = [by_queue(f"t{n}", 0, n) for n in range(1, 6)]
    answers = {task.name: 5 for task in tasks}
    assert Driven(*tasks, cap=3).beat(**answers) == [1, 1, 1, 0, 0]
    tasks = [by_queue(f"t{n}", 0, n) for n in range(1, 6)]
    assert Driven(*tasks, rest(10), cap=10).beat(**answers) == [1, 1, 1, 1, 1, 5]


def test_nothing_swings_while_the_change_is_under_way() -> None:
    high, low = by_queue("high", 0, 1), rest(10)
    run = Driven(high, low, cap=10)
    for _ in range(10):  # the scheduler takes its time
        assert run.measure(high=5) == [1, 9]
        run.decider.reallocate()
        assert run.demand() == [1, 9]
    low.requested = 9
    assert run.measure(high=5) == [1, 9]
    low.running = 9
    assert run.measure(high=5) == [1, 9]
    high.requested = high.running = 1
    assert run.measure(high=5) == [1, 9]


def test_nothing_is_decided_while_all_tasks_are_held() -> None:
    run = Driven(by_queue("a", 0))
    run.tasks.hold = "a second agent"
    assert run.beat(a=5) == [0]


# Nothing waits


def until_it_falls(run: Driven, most_s: float = 100.0) -> float:
    before, began = run.demand(), run.now
    while run.beat(a=0) == before:
        assert run.now - began < most_s
    return run.now - BEAT_S - began


@pytest.mark.parametrize(
    "task",
    [by_queue("a", 5, target=n) for n in (1, 5, 10, 12)] + [by_simple("a", 5, target=n) for n in (0, 1)],
    ids=lambda task: repr(task.target),
)
def test_an_empty_queue_gives_back_one_at_a_beat(task: Task) -> None:
    run = Driven(task)
    assert until_it_falls(run) == IDLE_S
    assert str(task.reason) == f"queue 0 of target {task.target.length}: empty for 10 s, gives back 1"  # type: ignore[attr-defined]
    assert [run.beat(a=0)[0] for _ in range(5)] == [3, 2, 1, 0, 0]


@pytest.mark.parametrize("least", [1, 3])
def test_down_to_the_minimum(least: int) -> None:
    run = Driven(by_queue("a", 5, min_containers=least))
    assert run.for_s(60, a=0) == [least]


@pytest.mark.parametrize("idle_s", [0.0, 0.2, 0.5, 3.0, 60.0])
def test_after_its_own_time(idle_s: float) -> None:
    run = Driven(by_queue("a", 5, idle_s=idle_s))
    assert max(0, idle_s - BEAT_S) <= until_it_falls(run) <= idle_s + BEAT_S


def test_one_job_begins_the_time_anew() -> None:
    run = Driven(by_simple("a", 5, target=1))
    for _ in range(5):
        assert run.for_s(9, a=0) == [5]
        run.beat(a=1)
    assert until_it_falls(run) == IDLE_S


@pytest.mark.parametrize(("gap_s", "kept_s"), [(1.0, 0.0), (3.0, IDLE_S), (30.0, IDLE_S)])
def test_a_missing_reading_is_no_empty_queue(gap_s: float, kept_s: float) -> None:
    run = Driven(by_queue("a", 5))
    run.for_s(9.5, a=0)
    assert run.for_s(gap_s) == [5]
    assert until_it_falls(run) == kept_s


def test_not_within_its_window() -> None:
    run = Driven(by_queue("a", 5), window_s=30.0)
    run.beat(a=5)
    assert until_it_falls(run) == 30.0
    run = Driven(by_queue("a", 5, scale_down_window_s=20.0), window_s=30.0)
    run.beat(a=5)
    assert until_it_falls(run) == 20.0


@pytest.mark.parametrize("fields", [{"max_delta": 0}, {"is_scalable": False}, {"backing_off": True}], ids=str)
def test_what_may_not_be_moved_stays(fields: dict[str, Any]) -> None:
    assert Driven(by_queue("a", 5, **fields)).for_s(60, a=0) == [5]


class Told(Length):
    """Says how many jobs are being worked on."""

    def read(self, answer: Any) -> Any:
        return Measurement(*answer)


def told(has: int, target: int) -> Task:
    task = by_queue("a", has, target=target)
    task.metric = Told("a")
    return task


def test_not_while_the_source_says_that_jobs_run() -> None:
    run = Driven(told(5, 10))
    assert run.for_s(60, a=(0, 3)) == [5]
    assert run.beat(a=(0, 0)) == [4], "it has been empty for long"
    assert run.for_s(60, a=(0, None)) == [0]


def test_the_last_one_is_not_stopped_at_its_last_job() -> None:
    run = Driven(told(5, 50))
    assert run.for_s(60, a=(0, 1)) == [1], "by its own rule down to 1"
    assert run.for_s(5, a=(0, 0)) == [0]
    assert run.for_s(5, a=(0, 1)) == [1], "its worker may be gone, and only a live one brings it back"


def test_the_time_is_that_of_the_measurements() -> None:
    run = Driven(by_queue("a", 5))
    run.beat(a=0)
    run.now += 3600  # the machine has slept
    assert run.beat(a=0) == [5]
