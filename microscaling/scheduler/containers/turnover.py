"""Containers of one task that end with code 0: their work is done, or they found none."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.metric.null import NullMetric

WORKED_S = 1.0
"""Something waits, and it was up this long: it has worked."""
IDLE_S = 10.0
"""Nothing waits: what ends sooner than that has found nothing to do."""
PACE_S = 1.0
"""Between two starts in place of containers that ended in vain."""
IN_VAIN = 20
"""So many paced starts in a row without a sign of work, and the task backs off."""


class Turnover:
    """Tells work that is done from ends in vain, and paces what is started in place of the latter.

    The sign of work is a reading that has fallen since the container started. Where there is none, the
    time for which it was up has to do. The caller holds the lock of `Tasks`; times are monotonic seconds.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.in_vain = 0
        """Paced starts in a row without a sign of work."""
        self.said = False
        """The log has said that its containers end in vain: once for all of those in a row."""
        self.over = 0
        """Containers that ended with code 0 and have not been replaced yet."""
        self.owed = 0
        """Of those, the ones that ended in vain."""
        self._next = float("-inf")
        self._fell = float("-inf")
        self._reading: int | None = None

    @property
    def waits(self) -> bool:
        """Whether there may be work. Without a reading the task counts as short of what has just ended."""
        unknown = self._reading is None or bool(self.task.held)
        return unknown or bool(self._reading)

    def observe(self, now: float) -> bool:
        """Looks at the reading. True: there is work again, or some was done: nothing has to wait."""
        task = self.task
        if task.held or isinstance(task.metric, NullMetric):
            return False  # the last reading stays: it may have fallen when the next one comes
        before, self._reading = self._reading, task.metric.current
        if before is None or before == self._reading:
            return False
        if self._reading < before:
            self._fell = now
        elif before > 0:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """From now on nothing has to wait."""
        self.worked()
        self.owed = 0
        self._next = float("-inf")

    def ended_in_vain(self, started: float | None, up_s: float) -> bool:
        """Whether a container that ended with code 0 after `up_s` seconds shows no sign of work."""
        if started is not None and self._fell >= started:
            return False
        return up_s < (WORKED_S if self.waits else IDLE_S)

    def worked(self) -> None:
        """A container has done its work."""
        self.in_vain = 0
        self.said = False

    def owe(self, started: float | None) -> None:
        """The next container takes the place of one that ended in vain."""
        self.owed += 1
        if started is not None:
            self._next = max(self._next, started + PACE_S)

    def next_start(self, now: float) -> float:
        """When the next container in place of one that ended in vain may be started."""
        self.owed -= 1
        start = max(now, self._next)
        self._next = start + PACE_S
        return start
