"""Changes of the number of instances that somebody else has made."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task

log = logging.getLogger("mssscheduler")

WAITS_S = (2.0, 5.0, 10.0, 30.0)
AGAIN_S = 10.0
"""A further change within so many seconds after the last correction counts as the same quarrel."""


class OutsideChanges:
    """Tells for how long the number of one task is left alone after somebody else has set it, longer each
    time. Times are monotonic seconds."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._times = 0
        self._until = float("-inf")

    def wait_s(self, requested: int, now: float) -> float:
        """Returns the seconds until it is corrected: a command such as `docker stack deploy` may still be at
        work. Logs it. `requested`: the number that was found."""
        # A tool that sets the number again and again would otherwise be fought every 2 s.
        again = now < self._until + AGAIN_S
        self._times = min(self._times + 1, len(WAITS_S) - 1) if again else 0
        wait_s = WAITS_S[self._times]
        self._until = now + wait_s
        task = self.task
        log.info(
            "%s: somebody else has set it to %d: in %g s it gets what it needs, %d now",
            task.name, requested, wait_s, max(0, task.demand),
        )  # fmt: skip
        return wait_s
