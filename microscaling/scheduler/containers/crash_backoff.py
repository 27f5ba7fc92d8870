"""The crash-loop back-off of one task."""

from __future__ import annotations

import logging

from microscaling.demand.shown import Failure
from microscaling.demand.task import Task
from microscaling.utils.backoff import Backoff

log = logging.getLogger("mssscheduler")

MAX_FAILURES = 3
"""Failures in a row before a task backs off."""
HOLDS_S = 5.0
"""A probe that has run for this long ends the back-off."""
FIRST_S, MAX_S = 1.0, 60.0
STABLE_FACTOR = 10.0
"""Uptime that resets the delay, in multiples of the last delay: 10 s before the first, 10 minutes (as in
Kubernetes) at the longest."""
FAILED = "backing off after failed starts"
NO_IMAGE = "its image is missing"
IN_VAIN = "backing off: its {nouns} end with code 0 at once"
BY_ENGINE = "backing off: the engine starts its {nouns} again and again"


class CrashLoopBackoff:
    """Counts the failures of one task, and delays its starts.

    A task backs off after three containers in a row that failed to start, or ended unexpectedly before an
    uptime of `stable_s`. It keeps the running ones; after 1 s, doubling up to 60 s, one container is started
    as a probe. A probe that runs for 5 s ends the back-off. The next failure doubles the delay, unless a
    container has run ten times as long before. `noun`, `nouns`: the words for containers in the log.
    """

    def __init__(self, task: Task, noun: str = "container", nouns: str = "containers") -> None:
        self.task = task
        self.noun, self.nouns = noun, nouns
        self.failures_in_a_row = 0
        self.starving = False
        """Its image is missing: no probe until it is available."""
        self.until = 0.0
        """Time of the next probe (monotonic seconds), during a back-off."""
        self.probing = False
        self.ran = False
        """A container of it has proven stable since the agent's start, or was found running then."""
        self.failed_at = float("-inf")
        """Time of the last failure, monotonic seconds."""
        self.delay = 0.0
        """The last delay in seconds; 0 if it was reset."""
        self.backoff = Backoff(FIRST_S, MAX_S)
        self._why = FAILED
        self._lack = NO_IMAGE

    @property
    def stable_s(self) -> float:
        """Uptime (seconds) after which an exit is no failure, and which ends a run of failures."""
        return STABLE_FACTOR * max(FIRST_S, self.delay)

    @property
    def open(self) -> bool:
        """True if failures are remembered."""
        return bool(self.failures_in_a_row or self.delay)

    def record_failure(
        self, why: str, now: float, exit_code: int | None = None, reason: str = FAILED
    ) -> None:
        """Counts one more failed container."""
        self.failures_in_a_row += 1
        task = self.task
        task.failure = Failure(why, now, exit_code)
        if task.backing_off or self.failures_in_a_row >= MAX_FAILURES:
            self.back_off(why, now, reason)
            return
        self.failed_at = now
        log.warning(
            "%s: %s (%d of %d before it backs off)", task.name, why, self.failures_in_a_row, MAX_FAILURES
        )

    def back_off(self, why: str, now: float, reason: str) -> None:
        """Begins or extends the back-off."""
        self.failed_at = now
        task = self.task
        if self.starving or (task.backing_off and not self.probing):
            return  # this container was started before the back-off began
        self.delay = self.backoff.next()
        self.until = now + self.delay
        if task.failure is None or task.failure.at != now:  # it ended in vain, which counts as no failure
            task.failure = Failure(why, now, 0)
        task.failure.retry_at = self.until
        self.probing = False
        before, self._why = self._why if task.backing_off else "", reason
        task.backing_off = True
        if reason != BY_ENGINE:
            log.warning("%s: %s; backing off, next try in %.0f s", task.name, why, self.delay)
        elif before != reason:  # once, as the agent has no say in when the engine tries again
            log.warning("%s: %s, and so on: a crash loop; the engine goes on starting one, and there are no "
                        "more until it stays up", task.name, why)  # fmt: skip

    @property
    def why(self) -> str:
        """The reason of the back-off."""
        return self._lack if self.starving else self._why.format(nouns=self.nouns)

    def starve(self, now: float, lack: str = NO_IMAGE) -> None:
        """Backs off as long as something is missing without which no container can be made. The search for
        it logs it."""
        self._lack = lack
        self.starving = self.task.backing_off = True
        self.probing = False
        self.until = float("inf")
        self.task.failure = Failure(self.why, now)

    def supplied(self) -> None:
        """Ends that back-off; the next failure counts as the first."""
        if self.starving:
            self.starving = self.task.backing_off = self.probing = False
            self.stable()

    def held(self) -> None:
        """Takes a container that has run for 5 s: if it is the probe, the back-off ends."""
        # Without a probe it is a container from before the back-off: where several crash in turn, there is
        # always one with such an uptime.
        if self.probing:
            self._resume(f"a {self.noun} stays up")

    def tried(self) -> None:
        """Takes a start by the engine itself: during a back-off that is the probe."""
        self.probing = self.probing or (self.task.backing_off and not self.starving)

    def worked(self) -> None:
        """Takes a container that has done its work: the back-off ends."""
        self._resume(f"a {self.noun} has done its work")

    def _resume(self, why: str) -> None:
        """Ends the back-off; a single failure is enough for the next one."""
        if self.task.backing_off and not self.starving:
            self.failures_in_a_row = MAX_FAILURES - 1
            self.task.backing_off = self.probing = False
            log.info("%s: %s: no longer backing off", self.task.name, why)

    def stable(self) -> None:
        """Resets failures and delay, after an uptime of `stable_s` since the last failure."""
        self.failures_in_a_row = 0
        self.delay = 0.0
        self.backoff.reset()
        self.task.failure = None

    def excuse(self, since: float) -> None:
        """Forgives failures of an outage: the engine was away from `since` (monotonic seconds) on, and is
        back. The delay of the next back-off is kept."""
        # Failures within 5 s before the outage count as its effect, too.
        if since - self.failed_at < HOLDS_S:
            self.failures_in_a_row = 0
            self.task.failure = None
            if self.task.backing_off and not self.starving:
                self.task.backing_off = self.probing = False
                log.info("%s: the engine was away: no longer backing off", self.task.name)

    def wake(self) -> bool:
        """Ends a back-off that began for lack of work. Returns True if there was one."""
        if not self.task.backing_off or self.starving or self._why != IN_VAIN:
            return False
        self.task.backing_off = self.probing = False
        log.info("%s: there is work: no longer backing off", self.task.name)
        return True

    def suspend(self) -> None:
        """Ends the back-off without a probe, as no place is free for one; the next failure doubles the
        delay."""
        # Meanwhile the task counts like any other, so that it can give way.
        self.failures_in_a_row = MAX_FAILURES - 1
        self.task.backing_off = self.probing = False

    def forgive(self) -> None:
        """Forgets all failures: they were those of another configuration."""
        self.starving = self.task.backing_off = self.probing = False
        self.stable()

    def due(self, now: float) -> bool:
        """True if it is time for a probe."""
        return self.task.backing_off and not self.probing and now >= self.until
