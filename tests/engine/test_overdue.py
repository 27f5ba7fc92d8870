"""A task whose containers do not come is not waited for: it counts as settled."""

from __future__ import annotations

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine import scaling
from microscaling.metric.toy import ToyMetric
from microscaling.target.simple_queue import SimpleQueueLengthTarget


def pending(length: int, overdue: bool = True) -> Tasks:
    """3 of the 5 that were asked for run."""
    task = Task("web", demand=5, requested=5, running=3, min_containers=1, max_containers=10, max_delta=9)
    task.target, task.metric, task.overdue = SimpleQueueLengthTarget(10), ToyMetric(length), overdue
    return Tasks([task], 10)


@pytest.mark.parametrize(
    ("length", "demand", "why"),
    [
        (5, 2, "it can do with one fewer than run, so it need not wait for more"),
        (10, 5, "it is on target"),
        (50, 5, "it needs one more than run, and has asked for two"),
    ],
)
def test_it_decides_from_what_runs(length: int, demand: int, why: str) -> None:
    tasks = pending(length)
    scaling.scaling_calculation(tasks)
    assert tasks.tasks[0].demand == demand, why


def test_it_takes_part_between_beats() -> None:
    tasks = pending(50)
    tasks.tasks[0].running = 5  # now it needs a sixth
    scaling.measure(tasks)
    tasks.tasks[0].running = 4
    assert scaling.reallocate(tasks)
    assert tasks.tasks[0].demand == 6


@pytest.mark.parametrize("length", [5, 10, 50])
def test_before_that_it_is_waited_for(length: int) -> None:
    tasks = pending(length, overdue=False)
    assert not scaling.scaling_calculation(tasks)
    assert not scaling.reallocate(tasks)
