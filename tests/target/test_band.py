"""The readings at which a task keeps its containers, against the engine's own decisions."""

from __future__ import annotations

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine import scaling
from microscaling.metric.toy import ToyMetric
from microscaling.settings import Settings
from microscaling.target.band import Band, band_of
from microscaling.target.base import Target
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget


def moved(target: Target, running: int, current: int) -> int:
    """The change that the engine decides on for a task at a first reading."""
    task = Task("p1", demand=running, requested=running, running=running, max_containers=1000, max_delta=1000,
                target=target, metric=ToyMetric(current))  # fmt: skip
    scaling.scaling_calculation(Tasks([task], 1000))
    return task.demand - running


@pytest.mark.parametrize("running", [1, 4, 7])
@pytest.mark.parametrize(
    "make",
    [
        lambda: QueueLengthTarget(50, Settings()),
        lambda: QueueLengthTarget(9, Settings(kp=0.1)),
        lambda: QueueLengthTarget(0, Settings(kp=3.0)),
        lambda: SimpleQueueLengthTarget(50),
        lambda: SimpleQueueLengthTarget(1),
        lambda: PerContainerTarget(1),
        lambda: PerContainerTarget(10),
    ],
)
def test_inside_nothing_moves_and_outside_it_does(make, running: int) -> None:
    band = band_of(make(), running)
    assert band is not None
    changes = [moved(make(), running, current) for current in range(400)]
    assert [change < 0 for change in changes] == [current <= band.back for current in range(400)]
    assert [change > 0 for change in changes] == [current >= band.more for current in range(400)]


def test_the_numbers_of_the_defaults() -> None:
    assert band_of(QueueLengthTarget(50, Settings()), 3) == Band(35, 63)
    assert band_of(SimpleQueueLengthTarget(50), 3) == Band(34, 51)
    assert band_of(PerContainerTarget(10), 3) == Band(20, 34)


@pytest.mark.parametrize(
    "target",
    [QueueLengthTarget(9, Settings(ki=1.0)), QueueLengthTarget(9, Settings(kp=0.0)), RemainderTarget(3)],
    ids=str,
)
def test_a_rule_that_cannot_say_has_none(target: Target) -> None:
    assert band_of(target, 3) is None
