"""The readings of a task with several metrics: each has its own, and fails alone."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.engine.row import Row, Total
from microscaling.metric.base import Metric
from microscaling.metric.multiple import MultipleMetric, problem_of


class Each(Row):
    """A task with several metrics: it is held only while none of them has a reading."""

    def __init__(self, task: Task, metric: MultipleMetric) -> None:
        super().__init__(task, metric)
        self.members = metric.members
        self.several = metric
        self.rows = tuple(_row(task, each.metric, f"{task.name} ({each.place})") for each in self.members)
        self.parts = tuple(part for row in self.rows for part in row.parts)

    def combine(self) -> None:
        for row, member in zip(self.rows, self.members, strict=True):
            row.combine()
            if row.metric.source is None and not row.metric.terms:  # set by hand
                row.value, row.measured, row.problem = row.metric.current, row.metric.measured, ""
            member.problem = row.problem
            if not row.problem:
                row.count(0.0, 0.0)  # its failures are over
        good = [row for row in self.rows if not row.problem]
        failed = [member for member in self.members if member.problem]
        self.lacking = bool(failed) and bool(good)
        self.problem = "" if good else problem_of(failed, len(self.members))
        self.interval_s = min((row.interval_s for row in self.rows if row.problem), default=0.0)
        self.taken = min((row.taken for row in good if row.taken is not None), default=None)

    def count(self, now: float, slack_s: float) -> None:
        super().count(now, slack_s)
        for row in self.rows:
            row.count(now, slack_s)

    def apply(self) -> None:
        task = self.task
        fallback = task.fallback
        for row, member in zip(self.rows, self.members, strict=True):
            if not row.problem:
                member.metric.current, member.metric.measured = row.value, row.measured
                member.measured_at, member.fallback = row.taken, None
                member.beats, member.seconds = row.beats, row.beats * row.beat_s or member.seconds
                member.anew = member.anew or row.gap
            elif fallback is not None and row.failures >= fallback.failure_threshold:
                member.fallback = max(task.min_containers, min(fallback.containers, task.max_containers))
            row.gap = bool(row.problem)
        shown = self.several.shown
        if self.rows[shown].problem and self.lacking:
            # Where a server decides no rule says which one counts: one that has a reading.
            shown = next(i for i, row in enumerate(self.rows) if not row.problem)
        self.several.show(shown)
        self.value, self.measured = self.several.current, self.several.measured
        super().apply()


def row_of(task: Task) -> Row:
    """Returns the row of a task, with one metric or with several."""
    metric = task.metric
    return Each(task, metric) if isinstance(metric, MultipleMetric) else _row(task, metric, "")


def _row(task: Task, metric: Metric, name: str) -> Row:
    return Total(task, metric, name) if metric.terms else Row(task, metric, name)
