"""Scale-downs that the orchestrator does not carry out."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task
from microscaling.scheduler.occupied import NOT_ANSWERED, Occupied
from microscaling.scheduler.settling import SETTLES_S

log = logging.getLogger("mssscheduler")


class Unanswered:
    """Writes `requested` of one task: the orchestrator's number of instances, less those that it has not
    removed within 30 s. These count as occupied places."""

    # Counted as requested, these instances would be promised to a more important task, which would wait for
    # them while other tasks keep theirs.
    def __init__(self, task: Task, occupied: Occupied) -> None:
        self.task = task
        self.occupied = occupied
        self._since: float | None = None
        """Monotonic seconds."""
        self._surplus = 0

    def look(self, requested: int, now: float) -> None:
        """Checks the task. `requested`: the orchestrator's own number (instances), at `now` (monotonic
        seconds)."""
        task = self.task
        wanted = max(0, task.demand)
        # A task that backs off gives nothing, so no other task waits for its places.
        if wanted >= requested or task.backing_off:
            self.clear(requested)
            return
        self._since = now if self._since is None else self._since
        if now - self._since < SETTLES_S:
            task.requested = requested
            return
        if not self._surplus:
            log.warning(
                "%s: asked for %d in vain for %g s; the other %d keep their places",
                task.name, wanted, SETTLES_S, requested - wanted,
            )  # fmt: skip
        self._write(requested, requested - wanted)

    def clear(self, requested: int) -> None:
        """Resets the state: no scale-down is unanswered."""
        self._since = None
        self._write(requested, 0)

    def _write(self, requested: int, surplus: int) -> None:
        self._surplus = surplus
        self.task.requested = requested - surplus
        self.occupied.note(NOT_ANSWERED, self.task.name, surplus)
