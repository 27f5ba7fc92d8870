"""Fallbacks: a fixed number of containers for tasks that cannot be measured."""

from __future__ import annotations

import logging

from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.engine.readings import Readings
from microscaling.engine.row import Row
from microscaling.target.base import Observation, Target
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.text import few

log = logging.getLogger("mssengine")


class FallbackTarget(Target):
    """Replaces a task's own target while the fallback is in force: wants the fallback's number, within the
    task's minimum and maximum, at any reading."""

    __slots__ = ("containers", "failed", "usual")

    def __init__(self, task: Task, fallback: Fallback) -> None:
        self.usual = task.target
        self.failed = fallback.failure_threshold
        self.containers = min(max(fallback.containers, task.min_containers), task.max_containers)

    @property
    def length(self) -> object:
        """The target length of the task's own rule, if it has one."""
        return getattr(self.usual, "length", None)

    def decide(self, seen: Observation) -> int:
        return self.containers

    def aim(self, length: int) -> None:
        self.usual.aim(length)

    def reset(self) -> None:
        self.usual.reset()

    def paced(self, beats: float) -> None:
        self.usual.paced(beats)

    def words(self, current: int) -> str:
        readings = "1 failed reading" if self.failed == 1 else f"{self.failed} failed readings"
        return f"fallback to {self.containers} after {readings}"


class FallbackRow:
    """One task with a fallback, and its state."""

    def __init__(self, row: Row, fallback: Fallback) -> None:
        self.row = row
        self.fallback = fallback
        self.target: FallbackTarget | None = None
        """The rule in force; None while the task is measured, or held."""
        self.told = FailureLog()

    def apply(self) -> None:
        """Begins or ends the fallback; called right after the reading was written to the task."""
        row, task = self.row, self.row.task
        if row.failures < self.fallback.failure_threshold:
            self.end()
            return
        if self.target is None:
            task.target = self.target = FallbackTarget(task, self.fallback)
        task.falling_back = row.problem
        if task.held == row.ours:  # a hold set elsewhere, for another reason, stays
            task.held = ""

    def is_of(self, task: Task) -> bool:
        """True if this is in the present configuration of the task."""
        return self.fallback == task.fallback and task.is_scalable

    def end(self) -> None:
        """Ends the fallback, if it is in force."""
        if self.target is not None:
            if self.row.task.target is self.target:  # a new metric has brought a new rule
                self.row.task.target = self.target.usual
            self.target, self.row.task.falling_back = None, ""


class Fallbacks:
    """All tasks with a fallback and a source.

    A task is held from its first failed reading to the threshold. Then the fallback takes its place in the
    allocation like a measured number, and may take from less important tasks.
    """

    def __init__(self, readings: Readings) -> None:
        self.readings = readings
        self._rows: list[FallbackRow] = []
        self._began: dict[str, list[str]] = {}
        self._ended: list[str] = []
        self.follow()

    def follow(self) -> None:
        """Takes over the readings as they are now, after they have followed the tasks."""
        old = {each.row: each for each in self._rows if each.is_of(each.row.task)}
        for each in self._rows:
            if each.row not in old:
                each.end()
        self._rows = [
            old.get(row) or FallbackRow(row, row.task.fallback)
            for row in self.readings.rows()
            if row.task.fallback is not None and row.task.is_scalable
        ]

    def apply(self, now: float) -> int:
        """Updates all fallbacks after the readings were written; returns how many are in force. The caller
        holds the lock."""
        in_force = 0
        for each in self._rows:
            each.apply()
            target = each.target
            if target is not None:
                in_force += 1
                if each.told.failed(now):
                    what = f"{each.row.task.name} to {target.containers}"
                    # One log line for all tasks with the same problem, such as those of one source.
                    self._began.setdefault(each.row.problem, []).append(what)
            elif each.told.failing and each.told.recovered():
                self._ended.append(each.row.task.name)
        return in_force

    def say(self) -> None:
        """Logs the fallbacks that have begun or ended; called without the lock."""
        for problem, tasks in self._began.items():
            log.warning("fallback: %s: %s", few(tasks), problem)
        if self._ended:
            log.info("fallback over: %s", few(self._ended))
        self._began, self._ended = {}, []
