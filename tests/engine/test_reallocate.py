"""The allocation between two beats."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.scaling import guard, reallocate, scaling_calculation
from microscaling.metric.toy import ToyMetric
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.engine.test_guard import any_tasks, unmovable

CAP = 10


def task(name: str, demand: int, ideal: int, queue: int = 40, **more: Any) -> Task:
    """Its priority is the digit in its name; above 20 its queue is too long."""
    fields = {"max_delta": 20, "max_containers": 20, "target": SimpleQueueLengthTarget(20), **more}
    fields = {"requested": demand, "running": demand, "priority": int(name[1]), **fields}
    return Task(name, demand, metric=ToyMetric(queue), ideal_containers=ideal, **fields)


TABLE = [
    ("takes what is free", [task("a1", 1, 5)], [5]),
    ("and no more than that", [task("a1", 1, 15)], [10]),
    ("the most important first", [task("b2", 1, 9), task("a1", 1, 8)], [2, 8]),
    ("meeting its target it needs none", [task("a1", 1, 5, 20)], [1]),
    ("has its ideal already", [task("a1", 5, 5)], [5]),
    ("not more than max_delta", [task("a1", 1, 9, max_delta=2)], [3]),
    ("not above its maximum", [task("a1", 1, 9, max_containers=4)], [4]),
    ("counts from demand: what is on its way is not asked for twice", [task("a1", 6, 8, requested=2)], [8]),
    ("settled when measured is what counts, not now", [task("a1", 1, 5, running=0)], [5]),
    ("in the middle of a change when measured", [task("a1", 1, 5, settled=False)], [1]),
    ("moved once already", [task("a1", 1, 5, reallocated=True)], [1]),
    ("held", [task("a1", 1, 5, held="no answer")], [1]),
    ("backing off", [task("a1", 1, 5, backing_off=True)], [1]),
    ("not to be scaled", [task("a1", 1, 5, is_scalable=False)], [1]),
    ("gives nothing back: the beat has seen to that", [task("a1", 8, 2, 0)], [8]),
    # making others give way
    ("others give way, in one decision", [task("a1", 2, 8), task("b2", 8, 8)], [8, 2]),
    ("from the end", [task("a1", 2, 4), task("b2", 4, 4), task("c3", 4, 4)], [4, 4, 2]),
    ("down to their minimum", [task("a1", 2, 9), task("b2", 8, 8, min_containers=5)], [5, 5]),
    ("not equals", [task("a1", 2, 9), task("b1", 8, 8)], [2, 8]),
    ("not to a remainder", [task("a1", 2, 9, target=RemainderTarget(9)), task("b2", 8, 8)], [2, 8]),
    ("not one in the middle of a change", [task("a1", 2, 9), task("b2", 8, 8, settled=False)], [2, 8]),
    ("not one moved already", [task("a1", 2, 9), task("b2", 8, 8, reallocated=True)], [2, 8]),
    ("not one that backs off", [task("a1", 2, 9), task("b2", 8, 8, backing_off=True)], [2, 8]),
    ("not one that is not to be scaled", [task("a1", 2, 9), task("b2", 8, 8, is_scalable=False)], [2, 8]),
    ("one that is held, as a is fresh", [task("a1", 2, 9), task("b2", 8, 8, held="no answer")], [9, 1]),
    # capacity
    ("what gave way counts for others from that moment",
     [task("a1", 1, 9), task("b2", 1, 9, requested=9)], [9, 1]),
    ("what backs off and is not requested is free",
     [task("a1", 1, 9), task("b2", 0, 9, backing_off=True)], [9, 0]),
    ("above the cap the guard lowers", [task("a1", 8, 8), task("b2", 8, 8)], [8, 2]),
    ("below a minimum the guard raises", [task("a1", 8, 8), task("b2", 2, 2, 0, min_containers=4)], [6, 4]),
]  # fmt: skip


@pytest.mark.parametrize(("why", "tasks", "after"), TABLE, ids=[row[0] for row in TABLE])
def test_reallocate(why: str, tasks: list[Task], after: list[int]) -> None:
    before = [t.demand for t in tasks]
    assert reallocate(Tasks(tasks, CAP)) is (before != after)
    assert [t.demand for t in tasks] == after, why
    for t, demand in zip(tasks, before, strict=True):
        assert (t.reason is not None) == (t.demand != demand)


def test_each_moves_once_per_measurement() -> None:
    a, b = task("a1", 1, 9), task("b2", 8, 8, backing_off=True)
    tasks = Tasks([a, b], 10)
    assert reallocate(tasks)
    b.demand = b.requested = 2
    assert not reallocate(tasks)
    assert a.demand == 2
    scaling_calculation(Tasks([a], 2))
    assert not a.reallocated


def test_who_gave_way_does_not_take_back() -> None:
    a, b = task("a1", 2, 8), task("b2", 8, 18)
    tasks = Tasks([a, b], 10)
    reallocate(tasks)
    tasks.max_containers = 15
    assert not reallocate(tasks)
    assert (a.demand, b.demand) == (8, 2)


def test_reasons() -> None:
    tasks = [task("a1", 1, 9), task("b2", 3, 3), task("c3", 4, 4)]
    reallocate(Tasks(tasks, 10))
    assert [str(t.reason) for t in tasks] == [
        "queue 40 of target 20: wants 8 more, takes 8, of them 6 from c3 and 1 more",
        "gives 2 to a1, which comes first and is short of 6",
        "gives 4 to a1, which comes first and is short of 6",
    ]


def test_a_hand_over_is_done_as_soon_as_the_scheduler_has_begun_it() -> None:
    a, b = task("a1", 1, 0), task("b2", 9, 0, target=RemainderTarget(9))
    tasks = Tasks([a, b], 10)
    for step in range(8):
        a.metric.current = 40 if a.demand < 9 else 20
        scaling_calculation(tasks)
        guard(tasks)
        b.requested = b.demand  # being stopped: still running, but no longer requested
        reallocate(tasks)
        assert a.demand + b.demand == 10
        a.requested = a.running = a.demand
        b.running = b.requested
        assert a.demand == min(2 + step, 9)


@settings(max_examples=200, deadline=None)
@given(any_tasks())
def test_demand_keeps_to_the_cap_and_another_call_changes_nothing(tasks: Tasks) -> None:
    scaling_calculation(tasks)
    guard(tasks)
    for _ in range(len(tasks.tasks) + 1):
        reallocate(tasks)
    movable = sum(t.demand for t in tasks.tasks if not t.backing_off)
    assert movable <= max(0, tasks.max_containers - unmovable(tasks))
    assert not reallocate(tasks)
