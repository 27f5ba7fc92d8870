"""The back-off of a task whose containers do not stay up."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task
from microscaling.utils.backoff import Backoff

log = logging.getLogger("mssscheduler")

STRIKES = 3
"""Failures in a row after which a task backs off."""
HOLDS_S = 5.0
"""A container that has run this long after a back-off ends it: the others may be started."""
FIRST_S, MAX_S = 1.0, 60.0
STABLE_FACTOR = 10.0
"""How many times the last delay a container has to stay up before the next back-off is a short one again:
10 s before there was any, 10 minutes (as in Kubernetes) at the longest delay."""
FAILED = "backing off after failed starts"
IN_VAIN = "backing off: its {nouns} end with code 0 at once"


class CrashLoopBackoff:
    """Counts the failures of one task, and says how many containers it may have meanwhile.

    A task backs off after three containers in a row that did not start, or ended unasked before they had
    been up for `stable_s`. It then keeps what runs; after 1 s, doubling to 60 s, one container is
    tried, and one that holds for 5 s ends the back-off. The delay is remembered: the next failure
    doubles it, unless a container has stayed up for ten times as long before. `noun`, `nouns`: what the
    log calls a container.
    """

    def __init__(self, task: Task, noun: str = "container", nouns: str = "containers") -> None:
        self.task = task
        self.noun, self.nouns = noun, nouns
        self.failures_in_a_row = 0
        self.starving = False
        """Its image is missing: nothing is tried until that is there again."""
        self.until = 0.0
        """When the next container is tried, monotonic seconds; only while the task backs off."""
        self.probing = False
        self.ran = False
        """A container of it has stayed up since the agent's start, or was found running then."""
        self.struck = float("-inf")
        """When a container last failed, monotonic seconds."""
        self.delay = 0.0
        """The last delay, seconds; 0: there is none to be remembered."""
        self.backoff = Backoff(FIRST_S, MAX_S)
        self._why = FAILED

    @property
    def stable_s(self) -> float:
        """A container that has been up this long is no failure when it ends, and ends a run of failures."""
        return STABLE_FACTOR * max(FIRST_S, self.delay)

    @property
    def open(self) -> bool:
        """Failures are remembered: the next one may be one too many."""
        return bool(self.failures_in_a_row or self.delay)

    def record_failure(self, why: str, now: float) -> None:
        """One more container has failed."""
        self.failures_in_a_row += 1
        task = self.task
        if task.backing_off or self.failures_in_a_row >= STRIKES:
            self.back_off(why, now, FAILED)
            return
        self.struck = now
        log.warning("%s: %s (%d of %d before it backs off)", task.name, why, self.failures_in_a_row, STRIKES)

    def back_off(self, why: str, now: float, reason: str) -> None:
        """The last container that was started has failed, and it was one too many."""
        self.struck = now
        task = self.task
        if self.starving or (task.backing_off and not self.probing):
            return  # it had been set going before the back-off began
        self.delay = self.backoff.next()
        self.until = now + self.delay
        self.probing = False
        self._why = reason
        task.backing_off = True
        log.warning("%s: %s; backing off, next try in %.0f s", task.name, why, self.delay)

    @property
    def why(self) -> str:
        """Why it backs off."""
        return "its image is missing" if self.starving else self._why.format(nouns=self.nouns)

    def starve(self) -> None:
        """It backs off for as long as its image is missing; said by whoever looks for the image."""
        self.starving = self.task.backing_off = True
        self.probing = False
        self.until = float("inf")

    def supplied(self) -> None:
        """Its image is there again. The next failed start counts as the first."""
        if self.starving:
            self.starving = self.task.backing_off = self.probing = False
            self.stable()

    def held(self) -> None:
        """A container has stayed up for 5 s. Before it is time to try one, that is one from before the
        back-off: where several crash in turn, there is always one that has been up for so long."""
        if self.probing:
            self._resume(f"a {self.noun} stays up")

    def worked(self) -> None:
        """A container has done its work."""
        self._resume(f"a {self.noun} has done its work")

    def _resume(self, why: str) -> None:
        """The others may be started. The next failure is enough to back off again."""
        if self.task.backing_off and not self.starving:
            self.failures_in_a_row = STRIKES - 1
            self.task.backing_off = self.probing = False
            log.info("%s: %s: no longer backing off", self.task.name, why)

    def stable(self) -> None:
        """Since the last failure a container has been up for `stable_s`: all is forgotten."""
        self.failures_in_a_row = 0
        self.delay = 0.0
        self.backoff.reset()

    def excuse(self, since: float) -> None:
        """The engine went away at `since` (monotonic seconds) and is back: what failed meanwhile, and up to
        5 s before, was its doing. The next back-off, if there is one, is as long as it would have been."""
        if since - self.struck < HOLDS_S:
            self.failures_in_a_row = 0
            if self.task.backing_off and not self.starving:
                self.task.backing_off = self.probing = False
                log.info("%s: the engine was away: no longer backing off", self.task.name)

    def wake(self) -> bool:
        """There is work: ends a back-off that began as there was none. Returns whether there was one."""
        if not self.task.backing_off or self.starving or self._why != IN_VAIN:
            return False
        self.task.backing_off = self.probing = False
        log.info("%s: there is work: no longer backing off", self.task.name)
        return True

    def suspend(self) -> None:
        """There is no place to try one in. It counts as the others do meanwhile, so that it can give
        way, but its next failure makes it back off again, for twice as long."""
        self.failures_in_a_row = STRIKES - 1
        self.task.backing_off = self.probing = False

    def due(self, now: float) -> bool:
        """Time to try one container."""
        return self.task.backing_off and not self.probing and now >= self.until
