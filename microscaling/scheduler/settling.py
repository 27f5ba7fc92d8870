"""How long a task may take to settle."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task

log = logging.getLogger("mssscheduler")

SETTLES_S = 30.0
AFTER_GRACE_S = 10.0
"""A container that needs all of its grace is still no reason to decide without it."""


class Settling:
    """Notes since when one task has been asked for what it does not have yet: containers that are being
    created or started, replicas that stay pending.

    After 30 s, or its grace and 10 s if that is longer, it counts as settled all the same (`overdue`),
    so that it is neither frozen nor in the way of others. Another number begins the time anew.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.patience_s = max(SETTLES_S, task.container.stop_grace_s + AFTER_GRACE_S)
        self._since = 0.0
        """Monotonic seconds."""
        self._requested = task.requested

    def look(self, now: float) -> bool:
        """After every count, at `now` (monotonic seconds). Returns whether the task has just become
        overdue."""
        task = self.task
        if task.serving() == task.requested or task.requested != self._requested:
            self.restart(now)
            return False
        became = now - self._since >= self.patience_s and not task.overdue
        if became:
            task.overdue = True
            log.info(
                "%s: %d of %d run for %g s now, not waiting any longer",
                task.name, task.running - task.stopping, task.requested, self.patience_s,
            )  # fmt: skip
        return became

    def restart(self, now: float) -> None:
        """It has settled, or has just been asked for another number."""
        self._since = now
        self._requested = self.task.requested
        self.task.overdue = False
