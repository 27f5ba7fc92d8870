"""Containers of one task that end with code 0: with their work done, or in vain."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.metric.null import NullMetric

WORKED_S = 1.0
"""Minimum uptime that counts as work while the queue is not empty."""
IDLE_S = 10.0
"""Minimum uptime that counts as work while the queue is empty."""
PACE_S = 1.0
"""Seconds between two starts that replace ends in vain."""
IN_VAIN = 20
"""Paced starts in a row without a sign of work before the task backs off."""


class Turnover:
    """Distinguishes finished work from ends in vain, and paces the replacements of the latter.

    The sign of work is a reading that has fallen since the container's start; without one the uptime decides.
    The caller holds the lock of `Tasks`; times are monotonic seconds.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.in_vain = 0
        """Paced starts in a row without a sign of work."""
        self.said = False
        """The present run of ends in vain has been logged."""
        self.over = 0
        """Ended containers with code 0 that are not replaced yet."""
        self.owed = 0
        """Those of them that ended in vain."""
        self._next = float("-inf")
        self._fell = float("-inf")
        self._reading: int | None = None

    @property
    def waits(self) -> bool:
        """True if there may be work. Without a reading the queue counts as not empty."""
        unknown = self._reading is None or bool(self.task.held)
        return unknown or bool(self._reading)

    def observe(self, now: float) -> bool:
        """Checks the reading. Returns True if there is work again, or some was done: no start is delayed
        then."""
        task = self.task
        if task.held or isinstance(task.metric, NullMetric):
            return False  # the last reading stays, for comparison with the next one
        before, self._reading = self._reading, task.metric.current
        if before is None or before == self._reading:
            return False
        if self._reading < before:
            self._fell = now
        elif before > 0:  # more of the same work: only the first item after an empty queue ends a wait
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Drops all delays."""
        self.worked()
        self.owed = 0
        self._next = float("-inf")

    def ended_in_vain(self, started: float | None, up_s: float) -> bool:
        """True if a container that ended with code 0 after `up_s` seconds shows no sign of work."""
        if started is not None and self._fell >= started:
            return False
        return up_s < (WORKED_S if self.waits else IDLE_S)

    def worked(self) -> None:
        """Ends the present run of ends in vain, as a container has done its work."""
        self.in_vain = 0
        self.said = False

    def owe(self, started: float | None) -> None:
        """Notes one more end in vain."""
        self.owed += 1
        if started is not None:
            self._next = max(self._next, started + PACE_S)

    def next_start(self, now: float) -> float:
        """Returns the earliest start of the next replacement for an end in vain."""
        self.owed -= 1
        start = max(now, self._next)
        self._next = start + PACE_S
        return start
