"""Weights and reserves: fair shares within a priority, and containers that are kept from higher ones."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.scaling import guard
from microscaling.engine.shares import level, whole
from microscaling.errors import ConfigError
from microscaling.metric.toy import ToyMetric
from microscaling.target.per_container import PerContainerTarget
from tests.engine.driven import Driven, queue_task


def each(name: str, weight: float | None = None, priority: int = 1, has: int = 0, **more) -> Task:
    """A task that wants one container for each item."""
    return queue_task(name, has, priority, target=PerContainerTarget(1), weight=weight, **more)


@pytest.mark.parametrize(
    ("weights", "wants", "cap", "shares"),
    [
        ((1, 1), (20, 20), 10, [5, 5]),
        ((1, None), (20, 20), 10, [5, 5]),
        ((3, 1), (20, 20), 12, [9, 3]),
        ((1, 1, 1), (20, 20, 2), 12, [5, 5, 2]),  # what one does not want is for the others
        ((1, 2, 1), (20, 3, 20), 11, [4, 3, 4]),
        ((2, 1), (1, 20), 10, [1, 9]),
        ((1, 1, 1), (20, 20, 20), 10, [4, 3, 3]),
        ((None, None), (20, 20), 10, [10, 0]),  # the Go agent's: the first takes all
        ((1, 1), (3, 4), 10, [3, 4]),
        ((1000, 0.001), (20, 20), 10, [10, 0]),
    ],
)
def test_shares(weights, wants, cap, shares) -> None:
    names = "abc"[: len(weights)]
    run = Driven(*(each(name, weight) for name, weight in zip(names, weights, strict=True)), cap=cap)
    answers = dict(zip(names, wants, strict=True))
    seen = [run.beat(**answers) for _ in range(20)]
    # The guard of the last job gives every task one that has none.
    assert seen[-1] == shares
    assert seen[-5:] == [shares] * 5, "and stays"


def test_one_that_comes_later_gets_its_share() -> None:
    run = Driven(each("a", 1, has=10), each("b", 1), cap=10)
    assert run.beat(a=20, b=0) == [10, 0]
    for _ in range(5):
        run.beat(a=20, b=20)
    assert run.demand() == [5, 5]
    for _ in range(5):
        run.beat(a=20, b=2)
    assert run.demand() == [8, 2]


def test_the_reason_names_share_and_sum() -> None:
    a, b = each("a", 1, has=10), each("b", 1)
    run = Driven(a, b, cap=10)
    run.measure(a=20, b=20)
    assert [str(task.reason) for task in (a, b)] == [
        "queue 20 at 1 for each: wants 20, its share by weight is 5 of 10: gives back 5",
        "queue 20 at 1 for each: wants 20, its share by weight is 5 of 10: takes 5",
    ]


def test_priorities_come_first() -> None:
    tasks = [each("a", 1, 1), each("b", 1, 1), each("c", 3, 2), each("d", 1, 2)]
    run = Driven(*tasks, cap=12)
    for _ in range(20):
        run.beat(a=3, b=1, c=20, d=20)
    assert run.demand() == [3, 1, 6, 2]


def test_minimums_are_kept() -> None:
    run = Driven(each("a", 9), each("b", 1, min_containers=4), cap=10)
    for _ in range(20):
        run.beat(a=20, b=20)
    assert run.demand() == [6, 4]


def test_what_is_held_keeps_its_own() -> None:
    run = Driven(each("a", 1, has=8), each("b", 1, has=2), cap=10)
    for _ in range(5):
        run.beat(b=20)
    assert run.demand() == [8, 2]


counts = st.integers(0, 40)
member = st.tuples(st.floats(0.001, 1000), counts, counts)


@settings(max_examples=300, deadline=None)
@given(st.lists(member, min_size=1, max_size=8), st.integers(0, 200))
def test_fair_to_within_one_container(members, total) -> None:
    weights = [weight for weight, _, _ in members]
    least = [min(a, b) for _, a, b in members]
    most = [max(a, b) for _, a, b in members]
    total = min(total, sum(most))
    exact = level(total, weights, least, most)
    assert sum(exact) == pytest.approx(total)
    given_out = whole(exact, total, least)
    assert sum(given_out) == total
    assert all(abs(count - share) < 1 for count, share in zip(given_out, exact, strict=True))
    assert all(share <= bound + 1e-9 for share, bound in zip(exact, most, strict=True))
    if total < sum(least):
        return
    assert all(share >= bound - 1e-9 for share, bound in zip(exact, least, strict=True))
    # Max-min: one that is below its wish is not behind any other that is above its minimum.
    short = [share / w for share, w, m in zip(exact, weights, most, strict=True) if share < m - 1e-6]
    above = [share / w for share, w, n in zip(exact, weights, least, strict=True) if share > n + 1e-6]
    if short and above:
        assert min(short) >= max(above) * (1 - 1e-6) - 1e-9


one = st.builds(
    dict,
    weight=st.none() | st.floats(0.1, 10),
    reserve=st.integers(0, 5),
    priority=st.integers(1, 3),
    min_containers=st.integers(0, 3),
)
readings = st.lists(st.lists(st.none() | st.integers(0, 60), min_size=4, max_size=4), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(one, min_size=4, max_size=4), st.integers(0, 25), readings)
def test_never_above_the_cap_and_no_more_for_one_that_failed(fields, cap, beats) -> None:
    tasks = [each(name, **more) for name, more in zip("abcd", fields, strict=True)]
    run = Driven(*tasks, cap=cap)
    for values in beats:
        before = run.demand()
        run.beat(**{name: value for name, value in zip("abcd", values, strict=True) if value is not None})
        assert sum(run.demand()) <= cap
        assert all(count >= 0 for count in run.demand())
        for task, was, value in zip(tasks, before, values, strict=True):
            if value is None:  # but for its minimum, which it may lack
                assert task.demand <= max(was, task.min_containers)


# Reserves


def test_a_reserve_is_kept_from_higher_priorities() -> None:
    run = Driven(each("high", priority=1, has=10), each("low", priority=2, reserve=3), cap=10)
    assert run.beat(high=50, low=0) == [10, 0], "it runs nothing unasked"
    for _ in range(5):
        run.beat(high=50, low=2)
    assert run.demand() == [8, 2], "of what it wants"
    for _ in range(5):
        run.beat(high=50, low=20)
    assert run.demand() == [7, 3], "and no more than the reserve"
    low = run.tasks.tasks[1]
    assert low.min_containers == 0
    for _ in range(25):
        run.beat(high=50, low=0)
    assert run.demand() == [10, 0], "and gives it back"


def test_the_reason_of_a_reserve() -> None:
    low = each("low", priority=2, reserve=3)
    run = Driven(each("high", priority=1, has=10), low, cap=10)
    run.measure(high=50, low=20)
    assert str(low.reason) == "below its reserve by 3: takes 3, of them 3 from high"


def test_without_a_weight_nothing_is_shared() -> None:
    tasks = [Task("a", 9, 9, 9, metric=ToyMetric(1)), Task("b", 1, 1, 1, metric=ToyMetric(1))]
    for task in tasks:
        task.max_containers, task.ideal_containers, task.target = 20, 20, PerContainerTarget(1)
    assert not guard(Tasks(tasks, 10))
    assert [task.demand for task in tasks] == [9, 1]


# The configuration


def config(**keys: object) -> dict[str, object]:
    return {"maxContainers": 9, "apps": [{"name": "a", "maxContainers": 9, "config": {"image": "x"}, **keys}]}


def test_the_configuration() -> None:
    tasks, _ = apps_from_parsed(config(weight=2.5, reserve=3))
    assert (tasks[0].weight, tasks[0].reserve) == (2.5, 3)
    tasks, _ = apps_from_parsed(config())
    assert (tasks[0].weight, tasks[0].reserve) == (None, 0)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("weight", 0, "apps[0].weight: expected a number from 0.001 to 1000, got 0"),
        ("weight", "much", "apps[0].weight: expected a number from 0.001 to 1000, got 'much'"),
        ("reserve", -1, "apps[0].reserve: expected a whole number, 0 or more, got -1"),
    ],
)
def test_bad_values(key: str, value: object, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        apps_from_parsed(config(**{key: value}))
    assert [line.replace('"', "'") for line in refused.value.problems] == [problem]
