"""The time limit for a task to settle."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task

log = logging.getLogger("mssscheduler")

SETTLES_S = 30.0
AFTER_GRACE_S = 10.0
"""Time beyond the grace: a container may need all of its grace to end."""


class Settling:
    """Measures for how long a task has lacked containers that were requested: containers that are being
    created or started, replicas that stay pending.

    After 30 s, or its grace plus 10 s if that is longer, the task counts as settled all the same (`overdue`).
    A change of the requested number restarts the time.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._since = 0.0
        """Monotonic seconds."""
        self._requested = task.requested

    @property
    def patience_s(self) -> float:
        """Seconds after which the task counts as settled."""
        return max(SETTLES_S, self.task.container.stop_grace_s + AFTER_GRACE_S)

    def look(self, now: float) -> bool:
        """Checks the task after every count, at `now` (monotonic seconds). Returns True if it has just become
        overdue."""
        task = self.task
        if task.serving() == task.requested or task.requested != self._requested:
            self.restart(now)
            return False
        became = now - self._since >= self.patience_s and not task.overdue
        if became:
            task.overdue = True  # otherwise the task would stay frozen, and in the way of others
            log.info(
                "%s: %d of %d run for %g s now, not waiting any longer",
                task.name, task.running - task.stopping, task.requested, self.patience_s,
            )  # fmt: skip
        return became

    def restart(self, now: float) -> None:
        """Restarts the time: the task has settled, or its requested number has changed."""
        self._since = now
        self._requested = self.task.requested
        self.task.overdue = False
