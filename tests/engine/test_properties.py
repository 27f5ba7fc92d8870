"""What holds for every rule and any input: the cap, finite numbers, no more for a reading that failed, and
shares that are fair to within one container."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscaling.demand.fallback import Fallback
from microscaling.demand.step_limit import StepLimit
from microscaling.demand.task import Task
from microscaling.engine.shares import level
from microscaling.metric.measurement import Measurement
from microscaling.settings import Settings
from microscaling.simulate.shapes import Load
from microscaling.simulate.simulation import World, simulate
from microscaling.target.base import Target
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from microscaling.target.wait import WaitTarget
from tests.engine.driven import Driven, queue_task
from tests.engine.test_each import several
from tests.simulate.loads import task

RULES: dict[str, Any] = {
    "Wait": lambda: WaitTarget(5),
    "PerContainer": lambda: PerContainerTarget(3),
    "Queue": lambda: QueueLengthTarget(20, Settings()),
    "SimpleQueue": lambda: SimpleQueueLengthTarget(20),
}
counts = st.integers(0, 200) | st.integers(0, 2**53)
measured = st.builds(
    Measurement,
    counts,
    st.none() | counts,
    stuck=counts,
    future=counts,
    paused=st.booleans(),
    oldest_age_s=st.none() | st.floats(0, 1e9),
    arrived=st.none() | counts,
    finished=st.none() | counts,
    age_s=st.floats(0, 60),
)
reading = st.none() | counts | st.integers(-5, -1) | measured
more = st.fixed_dictionaries(
    {
        "priority": st.integers(1, 2),
        "min_containers": st.integers(0, 3),
        "weight": st.none() | st.floats(0.1, 10),
        "reserve": st.integers(0, 4),
        "activation": st.integers(0, 9),
        "fallback": st.none() | st.builds(Fallback, st.integers(1, 3), st.integers(0, 9)),
        "scale_down_window_s": st.none() | st.floats(0, 5),
        "scale_up": st.none() | st.just(StepLimit(2, 50.0, 3.0)),
        "scale_down": st.none() | st.just(StepLimit(1, 0.0, 2.0)),
    }
)
tasks_of = st.lists(st.tuples(st.sampled_from([*RULES, "several"]), more), min_size=1, max_size=4)
beats_of = st.lists(
    st.tuples(st.lists(reading, min_size=6, max_size=6), st.booleans()), min_size=1, max_size=15
)


def made(kinds: list[tuple[str, dict[str, Any]]]) -> list[Task]:
    found = []
    for name, (kind, fields) in zip("abcd", kinds, strict=False):
        if kind == "several":
            rules: tuple[Target, ...] = (RULES["Wait"](), RULES["PerContainer"]())
            found.append(several(*rules, name=name, **fields))
        else:
            target = RULES[kind]()
            one = queue_task(name, 0, target=target, **fields)
            one.metric.with_running = target.with_running
            found.append(one)
    rest = Task("rest", priority=3, target=RemainderTarget(9), max_containers=9, max_delta=9)
    return [*found, rest]


@settings(max_examples=150, deadline=None)
@given(tasks_of, st.integers(0, 25), beats_of)
def test_the_cap_finite_numbers_and_no_more_for_a_reading_that_failed(kinds, cap: int, beats) -> None:
    tasks = made(kinds)
    run = Driven(*tasks, cap=cap)
    for values, settles in beats:
        before = run.demand()
        answers = dict(zip("abcdxy", values, strict=True))
        run.measure(**{name: value for name, value in answers.items() if value is not None})
        assert sum(run.demand()) <= cap
        for one, was in zip(tasks, before, strict=True):
            assert isinstance(one.demand, int)
            assert isinstance(one.ideal_containers, int)
            assert 0 <= one.demand <= max(one.max_containers, one.min_containers)
            assert str(one.reason or "x")
            if one.held:  # but for its minimum
                assert one.demand <= max(was, one.min_containers)
        if settles:
            run.settle()
            assert sum(run.demand()) <= cap


member = st.tuples(st.floats(0.1, 10), st.integers(0, 60))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(member, min_size=2, max_size=4),
    st.integers(1, 40),
    st.lists(st.integers(0, 20), min_size=4, max_size=4),
)
def test_shares_are_fair_to_within_one_container(members, cap: int, has) -> None:
    """Wherever it begins, with what each wants by its queue."""
    names = "abcd"[: len(members)]
    begins = has if sum(has[: len(members)]) <= cap else [0] * 4
    each = [
        queue_task(name, begin, target=PerContainerTarget(1), weight=weight, max_containers=60, max_delta=60)
        for name, (weight, _), begin in zip(names, members, begins, strict=False)
    ]
    run = Driven(*each, cap=cap)
    wants = [count for _, count in members]
    run.for_s(40, **dict(zip(names, wants, strict=True)))
    demand = run.demand()
    exact = level(min(cap, sum(wants)), [weight for weight, _ in members], [0] * len(wants), wants)
    for found, fair, want in zip(demand, exact, wants, strict=True):
        # The guard of the last job has one for each that waits, and the rule a tolerance of 10 %.
        assert abs(found - fair) <= 1 + 0.1 * want or found == 1
    before = run.demand()
    run.for_s(20, **dict(zip(names, wants, strict=True)))
    assert run.demand() == before, "and they stay"


@pytest.mark.parametrize("rule", ["Wait", "PerContainer", "SimpleQueue", "Queue"])
def test_shares_of_tasks_that_are_all_short_do_not_flap(rule: str) -> None:
    """Three tasks that want more than a third of the cap each: the odd container stays where it is."""
    kind = (lambda: PerContainerTarget(12)) if rule == "PerContainer" else RULES[rule]
    each = [task(name, kind(), 10, weight=1.0) for name in "abc"]
    run = simulate(each, 10, {one.name: Load("x", lambda t: 25.0) for one in each}, World(600))
    late = [at for at, *_ in run.decisions if at > 120]
    assert len(late) <= 2
    assert sorted(one.demand for one in each) == [3, 3, 4]


def test_shares_near_the_cap_move_no_more_than_what_is_wanted() -> None:
    """With ten tasks whose load is almost the cap, none moves more than it would alone (30 to 70 times)."""
    each = [task(f"t{n}", WaitTarget(5), 40, weight=1.0) for n in range(10)]
    run = simulate(each, 40, {one.name: Load("x", lambda t: 19.5) for one in each}, World(600))
    assert max(group.starts + group.stops for group in run.containers.groups) <= 60
    means = [group.container_s / 600 for group in run.containers.groups]
    assert max(means) - min(means) <= 1
