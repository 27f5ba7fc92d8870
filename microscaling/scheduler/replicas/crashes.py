"""The back-off of a task whose instances fail soon after their start, though the orchestrator goes on to
restart them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from microscaling.demand import limits
from microscaling.demand.shown import Failure
from microscaling.demand.task import Task
from microscaling.scheduler.probes import Probes
from microscaling.utils.backoff import Backoff

log = logging.getLogger("mssscheduler")

STRIKES = 3
DELAY_S, MAX_DELAY_S = 1.0, 60.0


# The number is lowered, and not only counted as free: the orchestrator would go on to start instances, and
# the sum of all requests would exceed the cap as soon as one of them holds.
class Crashes:
    """Holds one task at the instances that run, after three failures in a row, so that its share is free for
    others. After 1 s, doubling to 60 s, it tries one more; one that holds ends the back-off.

    The caller holds the lock of `Tasks`; times are monotonic seconds.
    """

    def __init__(self, task: Task, probes: Probes) -> None:
        self.task = task
        self.probes = probes
        self.limit: int | None = None
        """The most instances to ask for now; None: it does not back off."""
        self._probing = False
        self._until = 0.0
        self._strikes = 0
        self._steady = 0
        """Instances that had proven themselves at the last look."""
        self._backoff = Backoff(DELAY_S, MAX_DELAY_S)

    def look(self, failures: Sequence[str], steady: int, now: float) -> None:
        """Takes what has failed since the last look, and how many instances have run for a while."""
        task = self.task
        held, self._steady = steady > self._steady, steady
        if held:
            self._strikes = 0
            if task.failure is not None and self.limit is None:
                task.failure = None
        if failures:
            self._strikes += len(failures)
            task.failure = Failure(failures[-1], now)
        if self.limit is None:
            if failures and self._strikes >= STRIKES:
                self._wait(steady, now, failures[-1])
            return
        if self._probing and failures:
            self._wait(steady, now)
        elif self._probing and held and steady >= self.limit:
            self.end()
            log.info("%s: its containers hold: the back-off is over", task.name)
        elif not self._probing:
            self._idle(steady, now)
        if self.limit is not None:
            task.backing_off = True
            self._hold()

    def end(self) -> None:
        """Ends the back-off."""
        self.probes.let_go(self.task)
        self.limit, self._probing, self._strikes = None, False, 0
        self.task.backing_off = bool(self.task.resting)
        self.task.failure = None
        self._backoff.reset()
        self.probes.tasks.changed.set()

    def _wait(self, steady: int, now: float, why: str = "") -> None:
        delay_s = self._backoff.next()
        self._probing, self._until = False, now + delay_s
        self.limit = steady
        task = self.task
        task.backing_off = True
        if task.failure is not None:
            task.failure.retry_at = self._until
        if why:
            log.warning("%s: backing off, as %d in a row have failed: %s", task.name, self._strikes, why)
        self._hold()
        self.probes.keep_place(task)
        self.probes.tasks.changed.set()

    def _idle(self, steady: int, now: float) -> None:
        """Waits for the next try, or begins it."""
        task = self.task
        # One of those that ran may have failed since, and it is not to be replaced before its time.
        self.limit = min(steady, self.limit or 0) if steady < (self.limit or 0) else self.limit
        self.probes.review(task)
        if now < self._until:
            return
        self.probes.let_go(task)
        count = (self.limit or 0) + 1
        donor = None if self.probes.has_place() else self.probes.remainder_for(task)
        if count > task.most() or not (self.probes.has_place() or donor is not None):
            self._until = now + self._backoff.next()
            return
        self._probing, self.limit = True, count
        limits.try_again(task, count, donor)

    def _hold(self) -> None:
        limit = self.limit or 0
        if self.task.demand > limit:
            why = self.task.failure.why if self.task.failure is not None else "its instances fail"
            limits.hold_at(self.task, limit, f"keeps failing: {why}")
