"""What a cheap source shows between two beats: whether a task that wanted no more containers wants more now.

The threads of the sources ask without the lock of `Tasks`, so the engine asks again with it.
"""

from __future__ import annotations

from typing import Any

from microscaling.demand.task import Task
from microscaling.engine.poll import Reading
from microscaling.engine.row import Row
from microscaling.errors import MetricError
from microscaling.metric.base import LARGEST, Measurement, Metric


def can_glance(row: Row) -> bool:
    """True if a task has one metric, asked at each beat, that can be read without a trace."""
    metric = row.metric
    return row.parts == (row,) and not row.interval_s and type(metric).glance is not Metric.glance


def rises(row: Row, answer: Any, now: float) -> bool:
    """True if a task that wanted no more containers at the last beat wants more by this answer."""
    task = row.task
    if row.problem or row.gap or now - row.advanced < row.beat_s or not _may_get(task):
        return False
    value = _number(row, _found(row, answer))
    # What falls, or stays above the target, can wait.
    if value is None or value <= row.value:
        return False
    if not task.target.meeting(value):
        return _more(task, value)
    return task.requested <= 0 and row.value <= task.activation < value


def take(row: Row, reading: Reading) -> bool:
    """Takes over an answer as the value of a task. Returns False if there is no value in it."""
    found = _found(row, reading.answer)
    value = _number(row, found)
    if value is None:
        return False
    row.value, row.measured = value, found if isinstance(found, Measurement) else None
    row.taken = row.advanced = reading.taken
    return True


def _may_get(task: Task) -> bool:
    has = max(task.requested, task.demand)
    return task.ideal_containers <= has < task.max_containers and task.is_scalable and not task.held


def _more(task: Task, value: int) -> bool:
    """True if the rule wants more, or only a copy of it can show that. False for one that learns from its
    readings: it counts on those of the beats."""
    if task.target.by_delta:
        return True
    more = task.target.steady(value, task.serving())
    return more is not None and more > 0


def _found(row: Row, answer: Any) -> int | Measurement | None:
    try:
        return row.metric.glance(answer)
    except MetricError:
        return None


def _number(row: Row, found: int | Measurement | None) -> int | None:
    if isinstance(found, Measurement):
        return None if found.paused else min(LARGEST, found.number(row.metric.with_running))
    return found
