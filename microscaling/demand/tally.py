"""Counters of decisions and of the work that follows them, for the metrics. No decision depends on them.

The caller holds the lock of `Tasks`; times are monotonic seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from microscaling.demand import reason as r
from microscaling.demand.reason import Reason
from microscaling.demand.task import Task

WORK_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds (seconds) of the buckets for the work of a backend."""
REACTION_S = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
OTHER = "other"
RULES: Mapping[str, str] = {
    **dict.fromkeys((r.UP, r.BACK), "reading"),
    **dict.fromkeys((r.UP_LATE, r.BACK_LATE, r.GAVE_LATE), "late"),
    **dict.fromkeys((r.GAVE_WAY, r.TOOK), "priority"),
    **dict.fromkeys((r.BELOW_MINIMUM, r.MINIMUM_TOOK, r.MINIMUM_GAVE), "minimum"),
    **dict.fromkeys((r.LAST, r.LAST_TOOK, r.LAST_GAVE, r.TAKEN, r.TAKEN_TOOK), "first"),
    **dict.fromkeys((r.BELOW_RESERVE, r.RESERVE_TOOK), "reserve"),
    **dict.fromkeys((r.SHARE_TOOK, r.SHARE_GAVE), "weight"),
    **dict.fromkeys((r.OVER_CAP, r.OVER_PLACES), "cap"),
    r.ABOVE_MAXIMUM: "maximum",
    r.IDLE: "idle",
}
"""The rule of a reason -> its name in the metrics. All others, such as several steps in one decision, are
OTHER: a label of a metric has to have few values."""


class Histogram:
    """Counts of durations (seconds) by upper bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Of each bucket alone; the last one has no bound."""
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def copy(self) -> Histogram:
        """Returns a copy that can be read without the lock."""
        made = Histogram(self.bounds)
        made.counts, made.sum = list(self.counts), self.sum
        return made


class Tally:
    """The counters of one agent, since its start."""

    def __init__(self) -> None:
        self.decisions: dict[tuple[str, str, str], int] = {}
        """By task, name of the rule, and `up` or `down`."""
        self.operations: dict[tuple[str, str, bool], int] = {}
        """By task, work such as `start`, and success."""
        self.durations: dict[str, Histogram] = {}
        """Of the successful ones, by work."""
        self.failures: dict[str, int] = {}
        """By task: containers that did not start, or ended too soon."""
        self.reaction = Histogram(REACTION_S)
        """From a reading to the containers that it led to."""
        self._awaited: dict[Task, list[tuple[float, int]]] = {}
        """By task: the times of readings that have led to more containers, each with their number."""

    def decided(self, changes: Iterable[tuple[str, int, int, Reason | None]]) -> None:
        """Counts the changes of one decision: name of the task, demand before and after, reason."""
        for name, before, after, reason in changes:
            # A reason of several steps has a sentence of its own in place of a rule.
            rule = RULES.get(reason.rule, OTHER) if reason is not None else OTHER
            key = (name, rule, "up" if after > before else "down")
            self.decisions[key] = self.decisions.get(key, 0) + 1

    def follow(self, tasks: Iterable[Task], before: Iterable[int], now: float) -> None:
        """Takes the demands before a decision, right after it, and looks for containers that were awaited."""
        for task, demand in zip(tasks, before, strict=True):
            if task.demand > demand and task.measured_at is not None:
                self._awaited.setdefault(task, []).append((task.measured_at, task.demand))
        # Mostly there is none.
        for task in list(self._awaited):
            there = task.running - task.stopping
            # What is not wanted any more is no reaction that took long.
            waiting = [(since, count) for since, count in self._awaited[task] if count <= task.demand]
            left = [(since, count) for since, count in waiting if count > there]
            for since, _ in waiting[: len(waiting) - len(left)]:
                self.reaction.observe(now - since)
            if left:
                self._awaited[task] = left
            else:
                del self._awaited[task]

    def worked(self, name: str, work: str, seconds: float, failed: bool) -> None:
        """Counts one call to the backend."""
        key = (name, work, not failed)
        self.operations[key] = self.operations.get(key, 0) + 1
        # The time of a failure is that of a deadline, and would hide the others.
        if not failed:
            self.durations.setdefault(work, Histogram(WORK_S)).observe(seconds)

    def failed(self, name: str) -> None:
        """Counts a container that did not start, or ended too soon."""
        self.failures[name] = self.failures.get(name, 0) + 1
