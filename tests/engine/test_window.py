"""Giving back only what a task could do without for a while."""

from __future__ import annotations

import pytest

from microscaling.target.base import Target
from tests.engine.driven import BEAT_S, CAP, Driven, falls_back, queue_task

CALM, EMPTY, LONG = 40, 0, 500


def until_it_falls(run: Driven, most_s: float = 100.0) -> float:
    """Seconds for which an empty queue keeps all its containers."""
    before, began = run.demand(), run.now
    while run.beat(a=EMPTY) == before:
        assert run.now - began < most_s
    return run.now - BEAT_S - began


@pytest.mark.parametrize("window_s", [0.0, 0.3, 1.0, 5.0, 10.0])
def test_nothing_is_given_back_within_the_window(window_s: float) -> None:
    run = Driven(queue_task("a", 8), window_s=window_s)
    run.for_s(20, a=CALM)
    kept = until_it_falls(run)
    assert max(0, window_s - BEAT_S) <= kept <= window_s, "counted from the last reading that wanted to stay"


def test_then_at_the_usual_speed_and_not_one_in_a_window() -> None:
    run = Driven(queue_task("a", 8), window_s=10.0)
    run.for_s(20, a=CALM)
    until_it_falls(run)
    assert [run.beat(a=EMPTY)[0] for _ in range(4)] == [6, 5, 4, 3]


def test_up_is_at_once() -> None:
    run = Driven(queue_task("a", 8), window_s=10.0)
    run.for_s(20, a=EMPTY)
    assert run.demand() == [0]
    assert [run.beat(a=LONG)[0] for _ in range(3)] == [1, 2, 3]


def test_one_reading_that_wants_to_stay_begins_the_window_anew() -> None:
    run = Driven(queue_task("a", 8), window_s=5.0)
    run.for_s(20, a=CALM)
    for length in (CALM, LONG):
        assert run.for_s(4, a=EMPTY)[0] >= 8
        run.beat(a=length)
    [task] = run.tasks.tasks
    run.beat(a=EMPTY)
    assert task.ideal_containers == task.requested == 9, "to stay, not more of what is over"
    assert until_it_falls(run) >= 4


class Fewer(Target):
    """Can do with as many fewer as is measured."""

    def meeting(self, current: int) -> bool:
        return True

    def exceeding(self, current: int) -> bool:
        return current > 1

    def delta(self, current: int) -> int:
        return -current


def test_as_many_as_the_most_modest_reading_can_do_without() -> None:
    run = Driven(queue_task("a", 18, target=Fewer()), window_s=3.0)
    run.beat(a=0)
    for fewer in (4, 2, 5, 3, 6, 7):
        assert run.beat(a=fewer) == [18]
    assert [run.beat(a=9)[0] for _ in range(4)] == [16, 14, 11, 8], "the 2 counts for 3 s, then the 3"
    assert run.decider.tasks.tasks[0].reason is not None
    assert "can spare 3, gives back 3" in str(run.decider.tasks.tasks[0].reason)


def test_one_that_is_not_comfortable_enough_to_give_any_back_wants_to_stay() -> None:
    run = Driven(queue_task("a", 18, target=Fewer()), window_s=3.0)
    for fewer in (0, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2):
        assert run.beat(a=fewer) == [18]
    assert run.beat(a=2) == [16]


def test_a_new_agent_gives_nothing_back_for_a_window() -> None:
    assert until_it_falls(Driven(queue_task("a", 8), window_s=5.0)) == 5.5


def test_a_gap_as_long_as_the_window_begins_it_anew_and_a_shorter_one_does_not() -> None:
    for gap_s, kept_s in ((2.0, 0.0), (8.0, 5.5)):
        run = Driven(queue_task("a", 8), window_s=5.0)
        run.for_s(20, a=CALM)
        run.for_s(4.5, a=EMPTY)
        assert run.for_s(gap_s) == [8]
        assert until_it_falls(run) == kept_s


def test_giving_way_does_not_wait() -> None:
    high, low = queue_task("high", 5, 1), queue_task("low", 15, 2, min_containers=1)
    run = Driven(high, low, window_s=60.0)
    run.for_s(2, high=CALM, low=CALM)
    assert run.for_s(2, high=LONG, low=CALM) == [9, 11]


@pytest.mark.parametrize(("most", "cap"), [(6, CAP), (CAP, 6)], ids=["its maximum", "the cap"])
def test_nor_does(most: int, cap: int) -> None:
    assert Driven(queue_task("a", 8, max_containers=most), cap=cap, window_s=60.0).beat(a=CALM) == [6]


def test_nor_does_a_fallback() -> None:
    run = Driven(queue_task("a", 8, **falls_back(3, 2)), window_s=60.0)
    run.for_s(5, a=CALM)
    assert [run.beat(), run.beat()] == [[8], [3]]


def test_after_a_long_fallback_the_window_begins_anew() -> None:
    run = Driven(queue_task("a", 2, **falls_back(8, 2)), window_s=5.0)
    run.for_s(10)
    assert until_it_falls(run) == 5.5


@pytest.mark.parametrize(
    ("own", "window_s", "kept"), [(0.0, 60.0, False), (60.0, 0.0, True), (None, 60.0, True)]
)
def test_a_tasks_own_window_counts_more(own: float | None, window_s: float, kept: bool) -> None:
    run = Driven(queue_task("a", 8, scale_down_window_s=own), window_s=window_s)
    run.beat(a=CALM)
    assert (run.beat(a=EMPTY) == [8]) is kept


def test_while_containers_start_and_when_they_never_do() -> None:
    """8 were asked for and 3 run: a task that counts as settled gives none of them up either."""
    task = queue_task("a", 3)
    run = Driven(task, window_s=5.0)
    task.demand = task.requested = 8
    task.overdue = True
    run.measure(a=LONG)
    for _ in range(10):
        assert run.measure(a=EMPTY)[0] >= 8


def test_of_what_was_asked_for_and_never_came_all_is_given_back() -> None:
    task = queue_task("a", 3, target=Fewer())
    run = Driven(task, window_s=3.0)
    task.demand = task.requested = 8
    task.overdue = True
    assert [run.measure(a=n)[0] for n in (0, 2, 2, 2, 3, 3, 3, 2, 2)] == [8] * 7 + [1, 1]


def test_while_containers_stop() -> None:
    """What it gave back a moment ago does not begin the window anew."""
    task = queue_task("a", 8)
    run = Driven(task, window_s=5.0)
    run.for_s(20, a=CALM)
    until_it_falls(run)
    assert run.measure(a=EMPTY) == [6]
    task.requested = 6
    for _ in range(4):
        run.measure(a=EMPTY)
    task.running = 6
    assert run.measure(a=EMPTY) == [5]


def test_what_is_kept_does_not_grow() -> None:
    run = Driven(queue_task("a", 8), window_s=3600.0)
    for n in range(7200):
        run.beat(a=(CALM, EMPTY, LONG)[n % 3])
    [window] = run.decider.windows._windows
    assert len(window.recommendations) <= 3
