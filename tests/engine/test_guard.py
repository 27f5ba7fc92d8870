"""The cap and the minimums, whatever was decided before."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.scaling import allocate, guard, scaling_calculation
from microscaling.metric.toy import ToyMetric
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget


def task(name: str, demand: int, least: int = 0, most: int = 20, **more: Any) -> Task:
    """Its priority is the digit in its name."""
    fields = {"requested": demand, "running": demand, "priority": int(name[1]), **more}
    return Task(name, demand, min_containers=least, max_containers=most, **fields)


HELD: dict[str, Any] = {"held": "no answer"}
FIXED: dict[str, Any] = {"is_scalable": False}
FAILING: dict[str, Any] = {"backing_off": True}

CAP = 10

TABLE = [
    # within the rules
    ("nothing to mend", [task("a1", 5, 1), task("b2", 5, 1)], [5, 5]),
    ("no tasks at all", [], []),
    ("what is free is not for the guard to give", [task("a1", 1), task("b2", 1)], [1, 1]),
    # (a) above the cap
    ("the lowest priority goes first", [task("a1", 8, 1), task("b2", 8, 1)], [8, 2]),
    ("wherever it stands in the list", [task("b2", 8, 1), task("a1", 8, 1)], [2, 8]),
    ("the later of two that are equal", [task("a1", 8), task("b1", 8)], [8, 2]),
    ("what is above a minimum before any minimum", [task("a1", 9, 1), task("b2", 3, 3)], [7, 3]),
    ("minimums too if need be, from below", [task("a1", 7, 7), task("b2", 9, 5)], [7, 3]),
    ("a minimum above its maximum is none", [task("a1", 9, 1), task("b2", 5, 5, 2)], [8, 2]),
    ("fixed ones are spared", [task("a1", 8, 6), task("b2", 8, 0, **FIXED)], [2, 8]),
    ("but not above the cap itself", [task("a1", 2, 1), task("b2", 12, 1, **FIXED)], [0, 10]),
    ("held ones too must keep to the cap", [task("a1", 8), task("b2", 8, **HELD)], [8, 2]),
    ("one that backs off counts, and stays", [task("a1", 8), task("b2", 8, **FAILING)], [2, 8]),
    ("with what it still requests", [task("a1", 8), task("b2", 0, requested=8, **FAILING)], [2, 0]),
    ("and nothing else can be done", [task("a1", 8, 2), task("b2", 12, **FAILING)], [0, 12]),
    ("less than none is none", [task("a1", -3), task("b2", 10)], [0, 10]),
    ("and makes no room for others", [task("a1", -3), task("b2", 12)], [0, 10]),
    # (b) below a minimum
    ("free capacity", [task("a1", 5), task("b2", 0, 3)], [5, 3]),
    ("and no more than the minimum", [task("a1", 0), task("b2", 0, 1)], [0, 1]),
    ("max_delta does not apply", [task("a1", 0, 4, 4, max_delta=0)], [4]),
    ("not above its maximum", [task("a1", 0, 4, 2)], [2]),
    ("whatever is under way", [task("a1", 0, 2, running=7)], [2]),
    ("a lower priority's surplus", [task("a1", 0, 3), task("b2", 5, 1), task("c3", 5, 1)], [3, 5, 2]),
    ("the next lower one's when that is used up",
     [task("a1", 0, 5), task("b2", 5, 1), task("c3", 5, 4)], [5, 1, 4]),
    ("free capacity before anybody's", [task("a1", 0, 3), task("b2", 8, 1)], [3, 7]),
    ("a higher priority's when no lower one has any", [task("a1", 10, 1), task("b2", 0, 2)], [8, 2]),
    ("lower ones before equal ones before higher ones",
     [task("a1", 3), task("b2", 3), task("c2", 0, 6), task("d3", 4)], [3, 1, 6, 0]),
    ("not a higher priority's minimum", [task("a1", 10, 10), task("b2", 0, 2)], [10, 0]),
    ("nor that of an equal one", [task("a1", 10, 10), task("b1", 0, 2)], [10, 0]),
    ("but a lower one's, if minimums exceed the cap", [task("a1", 0, 6), task("b2", 10, 10)], [6, 4]),
    ("higher priorities first get theirs", [task("a1", 0, 6), task("b2", 0, 6), task("c3", 0, 6)], [6, 4, 0]),
    ("a fixed one gives nothing", [task("a1", 0, 2), task("b2", 10, **FIXED)], [0, 10]),
    ("and is not raised", [task("a1", 0, 2, **FIXED)], [0]),
    ("one that backs off gives nothing", [task("a1", 0, 2), task("b2", 10, **FAILING)], [0, 10]),
    ("and is not raised either", [task("a1", 0, 2, **FAILING)], [0]),
    # held tasks
    ("a held one keeps its minimum", [task("a1", 9), task("b2", 1, 3, **HELD)], [7, 3]),
    ("and gets it back from others", [task("a1", 10), task("b2", 0, 2, **HELD)], [8, 2]),
    ("it gives to a higher one that is fresh", [task("a1", 0, 2), task("b2", 10, **HELD)], [2, 8]),
    ("its minimum too, if minimums exceed the cap", [task("a1", 0, 2), task("b2", 10, 10, **HELD)], [2, 8]),
    ("not to a higher one that is held", [task("a1", 0, 2, **HELD), task("b2", 10, **HELD)], [0, 10]),
    ("not to a lower one", [task("a1", 10, **HELD), task("b2", 0, 2)], [10, 0]),
    ("in its place in the order", [task("a1", 0, 6), task("b2", 5, 1), task("c3", 5, **HELD)], [6, 4, 0]),
    ("a held one does not ask another", [task("a1", 0, 6, **HELD), task("c3", 5, **HELD)], [5, 5]),
    ("one that gave its minimum takes in its turn",
     [task("a1", 0, 3), task("b2", 2, 2), task("c3", 0, 1, **HELD), task("d4", 8, 8, **HELD)], [3, 2, 0, 5]),
    ("what a held one may not take directly comes round",
     [task("a2", 7, 8, **HELD), task("b3", 0, 1), task("c4", 3, 1, **HELD)], [8, 1, 1]),
    ("its surplus before that of a higher one",
     [task("a1", 5), task("b2", 0, 2), task("c3", 5, **HELD)], [5, 2, 3]),
]  # fmt: skip


@pytest.mark.parametrize(("why", "tasks", "after"), TABLE, ids=[row[0] for row in TABLE])
def test_guard(why: str, tasks: list[Task], after: list[int]) -> None:
    before = [t.demand for t in tasks]
    assert guard(Tasks(tasks, CAP)) is (before != after)
    assert [t.demand for t in tasks] == after, why
    for t, demand in zip(tasks, before, strict=True):
        assert (t.reason is not None) == (t.demand != demand)


def test_reasons() -> None:
    tasks = [task("a1", 0, 4), task("b2", 3, 1), task("c3", 4, 1), task("d4", 5, 3)]
    guard(Tasks(tasks, 10))
    assert [str(t.reason) for t in tasks] == [
        "below its minimum by 4: takes 4, of them 4 from c3 and 1 more",
        "gives 1 to a1, which is below its minimum",
        "gives 3 to a1, which is below its minimum",
        "2 too many for the cap of 10: gives back 2",
    ]


def test_a_reason_names_the_cap_as_it_is_configured() -> None:
    a = task("a1", 4, 0)
    tasks = Tasks([a], 5)
    tasks.outside = 4
    guard(tasks)
    assert str(a.reason) == "3 too many for the cap of 5 (less 4 containers of no task): gives back 3"


def test_reason_of_one_that_needs_nobody() -> None:
    a = task("a1", 0, 4)
    guard(Tasks([a], 3))
    assert str(a.reason) == "below its minimum: wants 4, 3 free, takes 3"


small = st.integers(0, 6)


@st.composite
def any_task(draw: st.DrawFn, name: str, states: bool) -> Task:
    requested = draw(small)
    least = draw(st.integers(0, 3))
    most = draw(st.integers(least, 9))
    return Task(
        name,
        demand=draw(st.one_of(st.just(requested), small)),
        requested=requested,
        running=draw(st.one_of(st.just(requested), small)),
        is_scalable=not states or draw(st.integers(0, 4)) > 0,
        priority=draw(st.integers(1, 4)),
        max_delta=draw(st.sampled_from([most - least, most - least, draw(small)])),
        min_containers=least,
        max_containers=most,
        target=draw(st.sampled_from([SimpleQueueLengthTarget(20), RemainderTarget(most)])),
        metric=ToyMetric(draw(st.sampled_from([0, 17, 20, 40]))),
        ideal_containers=draw(st.integers(-5, 15)),
        held="no answer" if states and draw(st.integers(0, 4)) == 0 else "",
        backing_off=states and draw(st.integers(0, 4)) == 0,
    )


@st.composite
def any_tasks(draw: st.DrawFn, states: bool = True) -> Tasks:
    names = [f"task{i}" for i in range(draw(st.integers(1, 7)))]
    return Tasks([draw(any_task(name, states)) for name in names], draw(st.integers(0, 30)))


def state(tasks: Tasks) -> list[tuple[int, int]]:
    return [(t.demand, t.requested) for t in tasks.tasks]


def unmovable(tasks: Tasks) -> int:
    return sum(max(t.demand, t.requested) for t in tasks.tasks if t.backing_off)


@settings(max_examples=200, deadline=None)
@given(any_tasks(), st.booleans())
def test_demand_keeps_to_the_cap(tasks: Tasks, allocated: bool) -> None:
    if allocated:
        allocate(tasks)
    guard(tasks)
    movable = sum(t.demand for t in tasks.tasks if not t.backing_off)
    assert movable <= max(0, tasks.max_containers - unmovable(tasks))
    assert all(t.demand >= 0 for t in tasks.tasks)


@settings(max_examples=200, deadline=None)
@given(any_tasks())
def test_a_second_look_changes_nothing(tasks: Tasks) -> None:
    guard(tasks)
    before = state(tasks)
    assert not guard(tasks)
    assert state(tasks) == before


@settings(max_examples=200, deadline=None)
@given(any_tasks(states=False))
def test_minimums_are_met_at_once_as_far_as_the_cap_reaches(tasks: Tasks) -> None:
    allocate(tasks)
    guard(tasks)
    order = tasks.by_priority()
    below = [t for t in order if t.demand < t.min_containers]
    if sum(t.min_containers for t in order) <= tasks.max_containers:
        assert not below
    for t in below:  # then everything above it has no more than its minimum, everything below nothing
        assert sum(t.demand for t in order) == tasks.max_containers
        assert all(t.demand <= t.min_containers for t in order)
        assert all(o.demand == 0 for o in order if o.priority > t.priority)


@settings(max_examples=200, deadline=None)
@given(any_tasks(states=False))
def test_over_the_cap_lower_priorities_give_first(tasks: Tasks) -> None:
    least = {t: min(t.demand, t.min_containers) for t in tasks.tasks}
    before = {t: t.demand for t in tasks.tasks}
    excess = sum(before.values()) - tasks.max_containers
    guard(tasks)
    lowered = [t for t in tasks.by_priority() if t.demand < before[t]]
    if excess > 0 and all(t.demand >= t.min_containers for t in tasks.tasks):
        for t in lowered:
            lower = [o for o in tasks.tasks if o.priority > t.priority]
            assert all(o.demand <= max(least[o], o.min_containers) for o in lower)


@settings(max_examples=100, deadline=None)
@given(any_tasks())
def test_steady_readings_come_to_rest_when_the_scheduler_obeys(tasks: Tasks) -> None:
    seen = []
    for _ in range(120):
        scaling_calculation(tasks)
        guard(tasks)
        for t in tasks.tasks:
            t.requested = t.running = t.demand
        seen.append(state(tasks))
    assert seen[-1] == seen[-2] == seen[-3]


@settings(max_examples=100, deadline=None)
@given(any_tasks(states=False), st.lists(st.integers(0, 2**30), min_size=20, max_size=20))
def test_the_cap_holds_whatever_is_under_way(tasks: Tasks, delays: list[int]) -> None:
    """The scheduler does some of what it is told, at random, and readings change."""
    for dice in delays:
        scaling_calculation(tasks)
        guard(tasks)
        assert sum(t.demand for t in tasks.tasks) <= tasks.max_containers
        if sum(t.min_containers for t in tasks.tasks) <= tasks.max_containers:
            assert all(t.demand >= t.min_containers for t in tasks.tasks)
        for i, t in enumerate(tasks.tasks):
            if dice >> i & 1:
                t.requested = t.demand
            if dice >> (i + 10) & 1:
                t.running = t.requested
            if dice >> (i + 20) & 1:
                t.metric.current = 40 - t.metric.current


def test_what_was_decided_stands_while_the_scheduler_has_not_begun() -> None:
    a = task("a1", 10, 1, 10, max_delta=0)
    b = task("b2", 0, 1, 1)
    tasks = Tasks([a, b], 10)
    seen = []
    for _ in range(5):
        scaling_calculation(tasks)
        guard(tasks)
        seen.append((a.demand, b.demand))
    assert all(one == other == (9, 1) for one, other in pairwise(seen))
