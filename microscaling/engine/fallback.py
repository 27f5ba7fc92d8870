"""Tasks that cannot be measured, and have a number of containers to fall back to."""

from __future__ import annotations

import logging

from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.engine.readings import Readings, Row, few
from microscaling.target.base import Observation, Target
from microscaling.utils.failure_log import FailureLog

log = logging.getLogger("mssengine")


class FallbackTarget(Target):
    """Stands in for a task's own target: wants the number of its fallback, within its minimum and
    maximum, whatever was last measured, and is neither met nor exceeded by it."""

    __slots__ = ("containers", "failed", "usual")

    def __init__(self, task: Task, fallback: Fallback) -> None:
        self.usual = task.target
        self.failed = fallback.failure_threshold
        self.containers = min(max(fallback.containers, task.min_containers), task.max_containers)

    @property
    def length(self) -> object:
        """What the queue should have, as the task's own target says it."""
        return getattr(self.usual, "length", None)

    def decide(self, seen: Observation) -> int:
        return self.containers

    def reset(self) -> None:
        self.usual.reset()

    def paced(self, beats: float) -> None:
        self.usual.paced(beats)

    def words(self, current: int) -> str:
        readings = "1 failed reading" if self.failed == 1 else f"{self.failed} failed readings"
        return f"fallback to {self.containers} after {readings}"


class FallbackRow:
    """One task with a fallback, and what is in force."""

    def __init__(self, row: Row, fallback: Fallback) -> None:
        self.row = row
        self.fallback = fallback
        self.target: FallbackTarget | None = None
        """In force; None: it is measured, or held."""
        self.told = FailureLog()

    def apply(self) -> None:
        """Right after its reading was written to the task: begins or ends the fallback."""
        row, task = self.row, self.row.task
        if row.failures < self.fallback.failure_threshold:
            if self.target is not None:
                task.target, self.target = self.target.usual, None
                task.falling_back = ""
            return
        if self.target is None:
            task.target = self.target = FallbackTarget(task, self.fallback)
        task.falling_back = row.trouble
        if task.held == row.ours:  # held for somebody else's reason it stays
            task.held = ""


class Fallbacks:
    """All tasks that have a fallback, and a reading that can fail.

    While it is in force the task is not held: the number is what its owner wants in this very case, so
    it has its place in the allocation as if it were measured, and may take from less important tasks.
    Between the threshold's first failed reading and its last the task is held, as all others.
    """

    def __init__(self, readings: Readings) -> None:
        self._rows = [
            FallbackRow(row, row.task.fallback)
            for row in readings.rows()
            if row.task.fallback is not None and row.task.is_scalable
        ]
        self._began: dict[str, list[str]] = {}
        self._ended: list[str] = []

    def apply(self, now: float) -> int:
        """Right after the readings have been written to the tasks; returns how many fallbacks are in
        force. The caller holds the lock."""
        in_force = 0
        for each in self._rows:
            each.apply()
            target = each.target
            if target is not None:
                in_force += 1
                if each.told.failed(now):
                    what = f"{each.row.task.name} to {target.containers}"
                    self._began.setdefault(each.row.trouble, []).append(what)
            elif each.told.failing and each.told.recovered():
                self._ended.append(each.row.task.name)
        return in_force

    def say(self) -> None:
        """Logs what has begun or ended; without the lock."""
        for trouble, tasks in self._began.items():
            log.warning("fallback: %s: %s", few(tasks), trouble)
        if self._ended:
            log.info("fallback over: %s", few(self._ended))
        self._began, self._ended = {}, []
