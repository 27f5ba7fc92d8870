"""Tasks that come, take another configuration, or go while the agent runs."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.container import ContainerOptions
from microscaling.demand.fallback import Fallback
from microscaling.demand.task import CONFIGURED, NOT_YET, Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.fallback import FallbackTarget
from microscaling.metric.nsq import NSQMetric
from microscaling.target.queue import QueueLengthTarget

STATE = {
    "name", "demand", "requested", "running", "ideal_containers", "held", "backing_off", "reason", "settled",
    "reallocated", "overdue", "stopping", "parked", "falling_back", "measured_at", "measured_s", "failure",
    "generation", "history", "override", "resting", "draining", "drains_until", "own", "window", "changes_at",
    "version", "frozen", "loading", "warm_bytes", "measures", "decides", "rolling",
    "warnings", "overruled", "room", "unplaced",
}  # fmt: skip


def measured(name: str = "a", **more: object) -> Task:
    target, metric = QueueLengthTarget(50), NSQMetric("t", "c", "127.0.0.1:1")
    return Task(name, target=target, metric=metric, **{"max_containers": 8, **more})  # type: ignore[arg-type]


def test_every_field_is_either_configured_or_state() -> None:
    assert {field.name for field in fields(Task)} == STATE | {*CONFIGURED, "target"}


def test_a_task_that_takes_another_configuration_keeps_its_containers_and_demand() -> None:
    task = measured(demand=6, requested=5, running=4, held="refused", falling_back="so", measured_at=3.0)
    tasks = Tasks([task, measured("b")], 10)
    new = measured(priority=3, min_containers=2, max_containers=7)
    tasks.apply(Change(tasks=(new,)))
    assert tasks.tasks[0] is task
    assert (task.priority, task.min_containers, task.max_containers) == (3, 2, 7)
    assert (task.metric, task.target) == (new.metric, new.target)
    assert (task.demand, task.requested, task.running) == (6, 5, 4)
    assert (task.held, task.falling_back, task.measured_at) == (NOT_YET, "", None)
    assert (task.generation, tasks.get_task("b").generation) == (1, 0)
    assert tasks.changed.is_set()


def test_with_the_same_metric_its_readings_go_on() -> None:
    """As after a change of the image alone; the rule may be that of a fallback now."""
    task = measured(held="refused", measured_at=3.0)
    new = replace(task, image="web:2", container=ContainerOptions(stop_grace_s=30.0))
    in_force = task.target = FallbackTarget(task, Fallback(3, 2))
    tasks = Tasks([task], 10)
    tasks.apply(Change(tasks=(new,)))
    assert (task.image, task.container.stop_grace_s) == ("web:2", 30.0)
    assert task.target is in_force
    assert (task.held, task.measured_at, task.generation) == ("refused", 3.0, 0)
    other = replace(new, target=QueueLengthTarget(7))
    tasks.apply(Change(tasks=(other,)))
    assert task.target is in_force
    assert in_force.usual is other.target, "the other rule comes into force after the fallback"


def test_tasks_come_last_and_go() -> None:
    tasks = Tasks([measured("a"), measured("b"), measured("c")], 10)
    tasks.apply(Change((measured("d"),), gone=frozenset({"a"}), left=frozenset({"c", "x"})))
    assert [task.name for task in tasks.tasks] == ["b", "d"]
    assert tasks.get_task("d").held == NOT_YET
    assert [task.name for task in tasks.by_priority()] == ["b", "d"]


def test_the_configuration_keeps_a_task_of_its_own() -> None:
    new = measured()
    tasks = Tasks([], 10)
    tasks.apply(Change(tasks=(new,)))
    tasks.tasks[0].demand = 4
    assert new.demand == 0


@pytest.mark.parametrize(("most", "expected"), [(3, 3), (6, 6), (8, 6), (0, 0)])
def test_a_lower_maximum_takes_effect_at_once(most: int, expected: int) -> None:
    task = measured(demand=6)
    limits.reconfigure(Tasks([task], 10), Change(tasks=(measured(max_containers=most),)))
    assert task.demand == expected
    assert (task.reason is None) == (expected == 6)
