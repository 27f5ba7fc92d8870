"""A task that cannot be measured for long has the number that its owner has said."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from microscaling.api.agent_report import task_detail
from microscaling.demand.task import Task
from microscaling.target.remainder import RemainderTarget
from tests.engine.driven import Driven, falls_back, queue_task

CALM = 40
"""Items: enough, and not so few that any container can be done without."""
EMPTY = 0
LONG = 500


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "mssengine")
    return lambda: [m for m in caplog.messages if m.startswith("fallback")]


@pytest.mark.parametrize(
    ("has", "fallback", "expected"),
    [
        (2, 5, 5), (8, 5, 5), (5, 5, 5), (5, 0, 0), (1, 3, 3),
    ],
)  # fmt: skip
def test_it_is_held_until_the_threshold_and_then_goes_up_or_down(
    has: int, fallback: int, expected: int
) -> None:
    task = queue_task("a", has, **falls_back(fallback))
    run = Driven(task)
    run.beat(a=CALM)
    seen = [(run.beat()[0], bool(task.held), bool(task.falling_back)) for _ in range(4)]
    assert seen == [(has, True, False), (has, True, False), (expected, False, True), (expected, False, True)]


@pytest.mark.parametrize(
    ("fallback", "least", "most", "cap", "expected"),
    [(12, 0, 9, 20, 9), (1, 3, 9, 20, 3), (9, 0, 9, 6, 6)],
    ids=["the maximum", "the minimum", "the cap"],
)
def test_it_keeps_to(fallback: int, least: int, most: int, cap: int, expected: int) -> None:
    task = queue_task("a", 4, min_containers=least, max_containers=most, **falls_back(fallback, 1))
    assert Driven(task, cap=cap).beat() == [expected]
    assert f"fallback to {min(max(fallback, least), most)} after 1 failed reading:" in str(task.reason)


@pytest.mark.parametrize("answers", [{}, {"a": -1}, {"a": float("nan")}, {"a": "7"}], ids=str)
def test_any_kind_of_failure_counts(answers: dict[str, object]) -> None:
    task = queue_task("a", 2, **falls_back(6, 2))
    run = Driven(task)
    assert [run.beat(**answers), run.beat(**answers)] == [[2], [6]]


def test_one_good_reading_begins_the_count_anew() -> None:
    task = queue_task("a", 2, **falls_back(6, 3))
    run = Driven(task)
    for length in (None, None, CALM, None, None):
        assert run.beat(a=length) == [2]
    assert run.beat() == [6]


def test_no_answer_at_all_counts_from_when_the_last_one_is_too_old() -> None:
    task = queue_task("a", 2, **falls_back(6, 2))
    run = Driven(task)
    run.beat(a=CALM)
    seen = []
    for _ in range(6):
        run.decider.beat(run.now)
        run.now += 0.5
        seen.append(task.demand)
    assert seen == [2, 2, 2, 2, 6, 6], "the reading is good for 3 beats, then two fail"


def test_the_first_good_reading_ends_it_and_primes_the_velocity() -> None:
    task = queue_task("a", 2, **falls_back(6, 2))
    usual = task.target
    run = Driven(task)
    for _ in range(10):
        run.beat()
    assert (run.demand(), task.target is usual, usual.resets) == ([6], False, 0)  # type: ignore[attr-defined]
    assert run.beat(a=LONG) == [7]
    assert (task.target is usual, task.falling_back, task.held) == (True, "", "")
    assert usual.resets == 1  # type: ignore[attr-defined]
    assert run.beat(a=EMPTY) == [6]
    assert usual.resets == 1  # type: ignore[attr-defined]


def test_without_one_it_is_held_for_ever() -> None:
    task = queue_task("a", 4)
    run = Driven(task)
    run.beat(a=CALM)
    assert [run.beat() for _ in range(50)] == [[4]] * 50
    assert task.held


@pytest.mark.parametrize("lower", [CALM, None], ids=["measured", "held"])
def test_it_takes_from_a_less_important_task(lower: int | None) -> None:
    """Also from one that is held: else it would have nothing when one source fails for all."""
    high = queue_task("high", 2, 1, **falls_back(8, 2))
    low = queue_task("low", 18, 2, min_containers=1)
    run = Driven(high, low)
    run.beat(high=CALM, low=lower)
    assert run.beat(low=lower) == [2, 18]
    run.beat(low=lower)
    assert run.beat(low=lower) == [8, 12]
    assert low.reason is not None
    assert str(low.reason) == "gives 6 to high, which comes first and is short of 6"


def test_it_takes_nothing_from_a_more_important_one_and_gives_way_to_it() -> None:
    high = queue_task("high", 15, 1)
    low = queue_task("low", 5, 2, **falls_back(9, 1))
    run = Driven(high, low)
    assert run.beat(high=CALM) == [15, 5]
    for _ in range(3):
        run.beat(high=LONG)
    assert run.demand() == [18, 2], "one at a beat"


def test_what_it_gives_back_is_free_for_the_remainder() -> None:
    task = queue_task("a", 9, **falls_back(2, 1))
    rest = Task("rest", 1, 1, 1, priority=2, min_containers=1, max_containers=9, max_delta=8)
    rest.target = RemainderTarget(9)
    run = Driven(task, rest, cap=10)
    assert run.beat() == [2, 8]


@pytest.mark.parametrize("fields", [{"is_scalable": False}, {"backing_off": True}, {"max_delta": 0}], ids=str)
def test_what_may_not_be_moved_is_not(fields: dict[str, object]) -> None:
    task = queue_task("a", 4, **falls_back(8, 1), **fields)
    run = Driven(task)
    assert [run.beat(), run.beat()] == [[4], [4]]
    assert bool(task.held) is not task.is_scalable


def test_somebody_elses_hold_stays() -> None:
    task = queue_task("a", 4, **falls_back(8, 1))
    run = Driven(task)
    task.held = "a second agent"
    assert run.beat() == [4]
    assert task.held == "a second agent"


def test_the_reason_and_what_monitors_are_told() -> None:
    task = queue_task("a", 2, **falls_back(6, 2))
    run = Driven(task)
    run.beat()
    assert task_detail(task).items() >= {"held": "refused", "fallback": "", "target": 50}.items()
    run.beat()
    told = task_detail(task)
    assert told.items() >= {"held": "", "fallback": "refused", "target": 50, "demand": 6}.items()
    assert told["reason"] == "fallback to 6 after 2 failed readings: wants 4 more, 18 free, takes 4"
    run.beat(a=CALM)
    assert task_detail(task).items() >= {"held": "", "fallback": "", "demand": 6}.items()


def test_its_begin_and_its_end_are_said_once(said: Callable[[], list[str]]) -> None:
    a, b = queue_task("a", 2, **falls_back(6, 2)), queue_task("b", 2, **falls_back(3, 2))
    run = Driven(a, b)
    for n in range(100):
        run.beat(**({"a": CALM, "b": CALM} if n < 10 or n > 90 else {}))
    assert said() == ["fallback: a to 6, b to 3: refused", "fallback over: a, b"]


def test_a_source_that_flickers_does_not_fill_the_log(said: Callable[[], list[str]]) -> None:
    run = Driven(queue_task("a", 2, **falls_back(6, 1)))
    for n in range(7200):
        run.beat(a=n % 2 or None)
    assert 100 < len(said()) <= 2 * 3600 / 30


def test_a_log_line_names_few_of_many(said: Callable[[], list[str]]) -> None:
    run = Driven(*(queue_task(f"t{n}", 0, max_containers=1, **falls_back(1, 1)) for n in range(2000)))
    run.beat()
    assert said() == ["fallback: t0 to 1, t1 to 1, t2 to 1, t3 to 1, t4 to 1 and 1995 more: refused"]


def test_nothing_is_decided_while_all_tasks_are_held() -> None:
    run = Driven(queue_task("a", 2, **falls_back(6, 1)))
    run.tasks.hold = "a second agent"
    assert run.beat() == [2]
    run.tasks.hold = ""
    assert run.beat() == [6]
