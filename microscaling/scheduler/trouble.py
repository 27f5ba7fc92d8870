"""The back-off of a task whose containers do not stay up."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task
from microscaling.utils.backoff import Backoff

log = logging.getLogger("mssscheduler")

STRIKES = 3
"""Failed starts in a row after which a task backs off."""
HOLDS_S = 5.0
"""A container that has run this long has started well."""
FIRST_S, MOST_S = 1.0, 60.0


class Trouble:
    """Counts the failed starts of one task, and says how many containers it may have meanwhile.

    A task backs off after three starts in a row that failed, or ended unasked within 5 s. It then
    keeps what runs; after 1 s, doubling to 60 s, one container is tried, and one that holds for
    5 s ends the back-off.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.strikes = 0
        self.starving = False
        """Its image is missing: nothing is tried until that is there again."""
        self.until = 0.0
        """When the next container is tried, monotonic seconds; only while the task backs off."""
        self.probing = False
        self.struck = float("-inf")
        """When a start last failed, monotonic seconds."""
        self.backoff = Backoff(FIRST_S, MOST_S)

    def strike(self, why: str, now: float) -> None:
        """One more start has failed."""
        self.strikes += 1
        self.struck = now
        task = self.task
        if self.starving or (task.backing_off and not self.probing):
            return  # it had been set going before the back-off began
        if self.strikes < STRIKES and not task.backing_off:
            log.warning("%s: %s (%d of %d before it backs off)", task.name, why, self.strikes, STRIKES)
            return
        delay = self.backoff.next()
        self.until = now + delay
        self.probing = False
        task.backing_off = True
        log.warning("%s: %s; backing off, next try in %.0f s", task.name, why, delay)

    @property
    def why(self) -> str:
        """Why it backs off."""
        return "its image is missing" if self.starving else "backing off after failed starts"

    def starve(self) -> None:
        """It backs off for as long as its image is missing; said by whoever looks for the image."""
        self.starving = self.task.backing_off = True
        self.probing = False
        self.until = float("inf")

    def supplied(self) -> None:
        """Its image is there again. The next failed start counts as the first."""
        if self.starving:
            self.starving = self.task.backing_off = self.probing = False
            self.strikes = 0
            self.backoff.reset()

    def held(self) -> None:
        """A container has stayed up for 5 s."""
        self.strikes = 0
        if self.task.backing_off and not self.starving:
            self.task.backing_off = False
            self.probing = False
            self.backoff.reset()
            log.info("%s: a container stays up: no longer backing off", self.task.name)

    def forgive(self, since: float) -> None:
        """The engine went away at `since` (monotonic seconds) and is back: what failed meanwhile, and up to
        5 s before, was its doing. The next back-off, if there is one, is as long as it would have been."""
        if since - self.struck < HOLDS_S:
            self.strikes = 0
            if self.task.backing_off and not self.starving:
                self.task.backing_off = self.probing = False
                log.info("%s: the engine was away: no longer backing off", self.task.name)

    def stand_by(self) -> None:
        """There is no place to try one in. It counts as the others do meanwhile, so that it can give
        way, but its next failed start makes it back off again, for twice as long."""
        self.strikes = STRIKES - 1
        self.task.backing_off = self.probing = False

    def due(self, now: float) -> bool:
        """Time to try one container."""
        return self.task.backing_off and not self.probing and now >= self.until
