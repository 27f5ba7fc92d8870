"""A task with several metrics: the greatest wish wins, and one that fails takes nothing away."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscaling.api.members import members_of
from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.engine.status import in_detail
from microscaling.metric.measurement import Measurement
from microscaling.metric.multiple import Member, MultipleMetric
from microscaling.metric.total import TotalMetric
from microscaling.target.base import Target
from microscaling.target.greatest import GreatestTarget
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.wait import WaitTarget
from tests.engine.driven import CAP, Driven, Length, Primed, queue_task


def several(*rules: Target, has: int = 0, name: str = "a", **more: Any) -> Task:
    """A task with a queue for each rule: "x", "y", "z"."""
    activation = more.pop("activations", [0] * len(rules))
    names = "xyz"[: len(rules)]
    metric = MultipleMetric(
        [
            Member(f"metrics[{i}]", Length(source), activation[i])
            for i, (source, _) in enumerate(zip(names, rules, strict=True))
        ]
    )
    for member, rule in zip(metric.members, rules, strict=True):
        member.metric.with_running = rule.with_running
    fields = {"priority": 1, "max_containers": CAP, "max_delta": CAP, **more}
    return Task(name, has, has, has, metric=metric, target=GreatestTarget(rules, metric), **fields)


def two(**more: Any) -> Task:
    """Wants a container for each item of x, and one for ten of y."""
    return several(PerContainerTarget(1), PerContainerTarget(10), **more)


@pytest.mark.parametrize(("x", "y", "wants"), [(3, 20, 3), (1, 50, 5), (0, 50, 5), (4, 0, 4), (2, 20, 2)])
def test_the_greatest_wish_wins(x: int, y: int, wants: int) -> None:
    task = two()
    assert Driven(task).beat(x=x, y=y) == [wants]
    index = 0 if x * 10 >= y else 1
    assert [each["decides"] for each in members_of(task)] == [index == 0, index == 1]
    words = f"queue {y} at 10 for each" if index else f"queue {x} at 1 for each"
    assert str(task.reason).startswith(f"{words} (metrics[{index}], the most of 2): wants {wants} more")


def test_it_goes_down_as_far_as_the_greatest_wish() -> None:
    run = Driven(two(has=8))
    assert run.beat(x=2, y=50) == [5]
    assert run.for_s(1, x=2, y=10) == [2]


def test_one_that_fails_takes_nothing_away() -> None:
    task = two(has=8)
    run = Driven(task)
    run.beat(x=8, y=10)
    assert run.for_s(30, y=10) == [8], "x may still want them"
    assert run.for_s(30, y=0) == [8], "not even when all that can be read is empty"
    assert run.beat(y=120) == [12], "and more for the others"
    assert run.for_s(30, y=0) == [12]
    assert task.held == ""
    assert run.for_s(15, x=0, y=0) == [0]


def test_what_is_said_of_one_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mssengine")
    task = two(has=2)
    run = Driven(task)
    run.beat(x=2, y=10)
    run.beat(y=50)
    assert task.metric.lacking == "metrics[0]: refused"
    assert str(task.reason) == (
        "queue 50 at 10 for each (metrics[1], the most of 2; metrics[0]: refused): "
        "wants 3 more, 18 free, takes 3"
    )
    assert "a (metrics[0]) held: refused" in caplog.messages
    ((line, _),) = in_detail(run.tasks)
    assert line.endswith("no fewer, as it lacks a metric: metrics[0]: refused")
    x, y = members_of(task)
    assert (x["reading"], x["wants"], x["decides"], x["problem"]) == (None, None, False, "refused")
    assert (y["reading"], y["wants"], y["decides"], y["problem"]) == (50, 5, True, "")
    run.beat(x=2, y=50)
    assert task.metric.lacking == ""
    assert caplog.messages[-1].startswith("x answers again: a (metrics[0]) measured again")


def test_it_is_held_while_all_fail() -> None:
    task = two(has=3)
    run = Driven(task)
    run.beat(x=3, y=30)
    assert run.for_s(20) == [3]
    assert task.held == "metrics[0]: refused (2 of its 2 metrics fail)"


def test_no_more_on_a_reading_that_failed() -> None:
    run = Driven(two(has=1))
    run.beat(x=1, y=10)
    run.beat(x=-5, y=10)
    assert run.for_s(10, x=-5, y=10) == [1], "a bad number is none"


# Fallback, for each of them


def test_a_fallback_is_for_each_and_lowers_nothing() -> None:
    run = Driven(two(has=1, fallback=Fallback(4, 6)))
    run.beat(x=1, y=10)
    assert [run.beat(y=10)[0] for _ in range(4)] == [1, 1, 1, 6]
    assert run.beat(y=90) == [9]
    assert run.for_s(20, y=10) == [9], "above its fallback it stays, as that says nothing of what x wants"
    assert run.for_s(2, x=2, y=10) == [2]
    assert run.beat(y=10) == [2], "its failures are counted anew"


def test_all_of_them_fall_back() -> None:
    task = two(has=9, fallback=Fallback(4, 6))
    run = Driven(task)
    run.beat(x=9, y=10)
    assert run.for_s(3) == [6]
    assert task.falling_back.startswith("metrics[0]: refused")
    assert run.for_s(1, x=3, y=10) == [3]


# Guards


def test_one_when_something_waits_in_any() -> None:
    """Queue and SimpleQueue round a small error to no change."""
    run = Driven(several(Primed(50), Primed(50)))
    assert run.beat(x=0, y=1) == [1]
    assert run.for_s(60, x=0, y=1) == [1]
    assert run.for_s(12, x=0, y=0) == [0]


def test_an_activation_for_each() -> None:
    run = Driven(several(PerContainerTarget(1), PerContainerTarget(1), activations=[5, 0]))
    assert run.for_s(5, x=5, y=0) == [0]
    assert run.beat(x=6, y=0) == [6]
    run = Driven(several(PerContainerTarget(1), PerContainerTarget(1), activations=[5, 0]))
    assert run.beat(x=5, y=1) == [5], "once it is at work, all count"


def test_jobs_that_are_taken_keep_one() -> None:
    run = Driven(several(Primed(50), Primed(50), has=1))
    assert run.for_s(60, x=Measurement(0, running=1), y=0) == [1]
    assert run.for_s(12, x=Measurement(0, running=0), y=0) == [0]


def test_a_pause_of_one_stops_no_other() -> None:
    run = Driven(two())
    assert run.beat(x=Measurement(7, paused=True), y=Measurement(30)) == [3]


def test_a_window_is_for_the_greatest() -> None:
    run = Driven(two(has=8, scale_down_window_s=10.0))
    run.beat(x=8, y=0)
    assert run.for_s(9, x=2, y=0) == [8]
    assert run.for_s(3, x=2, y=0) == [2]


# Pace, and sums


def test_a_pace_for_each() -> None:
    task = several(Primed(50), Primed(50), has=2)
    task.metric.members[1].metric.interval_s = 5
    run = Driven(task)
    for _ in range(30):
        run.beat(x=40, y=40)
    assert [member.beats for member in task.metric.members] == [1.0, 10.0]
    assert [member.seconds for member in task.metric.members] == [0.5, 5.0]


def test_the_first_reading_after_a_gap_primes_its_rule_alone() -> None:
    rules = Primed(50), Primed(50)
    run = Driven(several(*rules, has=2))
    run.beat(x=40, y=40)
    before = [rule.resets for rule in rules]
    run.beat(y=40)
    run.beat(x=40, y=40)
    assert [rule.resets - was for rule, was in zip(rules, before, strict=True)] == [1, 0]


def test_one_of_them_may_be_a_sum() -> None:
    task = two()
    task.metric.members[0].metric = TotalMetric([Length("p"), Length("q")])
    run = Driven(task)
    assert run.beat(p=2, q=3, y=10) == [5]
    assert run.beat(p=2, y=80) == [8]
    assert task.metric.lacking == "metrics[0]: sources[1]: refused"
    assert run.for_s(5, p=2, y=10) == [8]
    assert run.for_s(5, p=2, q=1, y=10) == [3]


def test_a_rule_that_learns_beside_another() -> None:
    wait = WaitTarget(5)
    run = Driven(several(wait, PerContainerTarget(10)))
    for i in range(60):
        run.beat(x=20 + i % 3, y=20)
    assert not wait.belief.blank
    assert run.demand()[0] >= 2


def test_containers_that_start_freeze_it_unless_all_rules_may_move_then() -> None:
    assert not several(Primed(50), WaitTarget(5)).target.absolute
    assert several(WaitTarget(5), WaitTarget(9)).target.absolute


def test_its_share_is_not_taken_while_one_fails() -> None:
    tasks = [two(has=8, weight=1.0), queue_task("b", 2, target=PerContainerTarget(1), weight=1.0)]
    run = Driven(*tasks, cap=10)
    run.beat(x=8, y=0, b=2)
    assert run.for_s(5, y=0, b=20) == [8, 2]
    assert run.for_s(5, x=8, y=0, b=20) == [5, 5]


readings = st.none() | st.integers(-2, 200)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(readings, readings, readings), min_size=1, max_size=25),
    st.sampled_from(["absolute", "relative", "mixed"]),
    st.none() | st.integers(0, 9),
)
def test_it_never_goes_down_while_one_fails(beats, kind, fallback) -> None:
    one, other = PerContainerTarget(3), Primed(20)
    rules = {"absolute": (one, one, WaitTarget(5)), "relative": (other,) * 3, "mixed": (one, other, one)}[
        kind
    ]
    task = several(*rules, has=2, fallback=None if fallback is None else Fallback(3, fallback))
    run = Driven(task)
    for values in beats:
        before = run.demand()
        good = [value for value in values if value is not None and value >= 0]
        after = run.beat(**{name: v for name, v in zip("xyz", values, strict=True) if v is not None})
        assert 0 <= after[0] <= CAP
        if 0 < len(good) < 3:
            assert after >= before
        if not good and fallback is None:
            assert after == before
