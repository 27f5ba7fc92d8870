"""The state behind the metrics, copied under the lock, so that none is held while they are written."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from microscaling.demand.condition import conditions, wanted
from microscaling.demand.drain import Activity
from microscaling.demand.tally import Histogram, Tally
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.metric.null import NullMetric


@dataclass(slots=True)
class TaskNow:
    """One task. Counts are containers."""

    name: str
    counts: dict[str, int]
    priority: int
    conditions: dict[str, bool]
    warnings: frozenset[str]
    reading: int | None = None
    """Items; None: it has no source, or there was no reading."""
    target: int | None = None
    age_s: float | None = None
    jobs: dict[str, int] = field(default_factory=dict)
    """By state, as far as the source counts them."""
    oldest_s: float | None = None
    warm_bytes: int = 0


@dataclass(slots=True)
class Snapshot:
    """The agent at one moment."""

    agent: dict[str, int]
    hold: bool
    tasks: list[TaskNow]
    decisions: dict[tuple[str, str, str], int]
    operations: dict[tuple[str, str, bool], int]
    failures: dict[str, int]
    durations: dict[str, Histogram]
    reaction: Histogram


def snapshot(tasks: Tasks) -> Snapshot:
    """Copies the present state."""
    now = time.monotonic()
    with tasks:
        # Without metrics, as for their table in the docs, there are no counters.
        tally = tasks.tally or Tally()
        used = sum(task.requested for task in tasks.tasks)
        return Snapshot(
            agent={
                "cap": tasks.cap,
                "free": max(0, tasks.places() - used),
                "occupied": tasks.occupied,
                "outside": tasks.outside,
            },
            hold=bool(tasks.hold),
            tasks=[_task(task, tasks, now) for task in tasks.tasks],
            decisions=dict(tally.decisions),
            operations=dict(tally.operations),
            failures=dict(tally.failures),
            durations={work: histogram.copy() for work, histogram in tally.durations.items()},
            reaction=tally.reaction.copy(),
        )


def _task(task: Task, tasks: Tasks, now: float) -> TaskNow:
    counts = {
        "wanted": wanted(task),
        "demand": task.demand,
        "requested": task.requested,
        "running": task.running,
        "stopping": task.stopping,
        "draining": task.draining,
        "frozen": task.frozen,
        "min": task.min_containers,
        "max": task.max_containers,
    }
    if task.busy is not None and tasks.seen is not None:
        known = [view.activity for view in tasks.seen(task.name) if view.activity]
        # Containers are looked at only while one of them drains, or a person looks.
        if known:
            counts["busy"] = known.count(Activity.BUSY.value)
    told = TaskNow(task.name, counts, task.priority, conditions(task, tasks), frozenset(task.warnings))
    told.warm_bytes = task.warm_bytes
    told.target = getattr(task.target, "length", None)
    # The number of a task without a source was set by hand, and has no age.
    if task.measured_at is None or isinstance(task.metric, NullMetric):
        return told
    told.reading, told.age_s = task.metric.current, max(0.0, now - task.measured_at)
    if found := task.metric.measured:
        counted = {"waiting": found.waiting, "running": found.running}
        counted |= {"stuck": found.stuck, "future": found.future}
        told.jobs = {state: count for state, count in counted.items() if count is not None}
        told.oldest_s = found.oldest_age_s
    return told
