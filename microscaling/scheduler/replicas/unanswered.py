"""A scale-down that the orchestrator does not carry out."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task
from microscaling.scheduler.occupied import NOT_ANSWERED, Occupied
from microscaling.scheduler.settling import SETTLES_S

log = logging.getLogger("mssscheduler")


class Unanswered:
    """Writes `requested` of one task: the instances that the orchestrator has for it, unless a scale-down has
    been asked for in vain for 30 s.

    From then on the surplus counts as occupied places. As requested instances they would be promised to a
    more important task, which would wait for them while other tasks keep theirs.
    """

    def __init__(self, task: Task, occupied: Occupied) -> None:
        self.task = task
        self.occupied = occupied
        self._since: float | None = None
        """Monotonic seconds."""
        self._surplus = 0

    def look(self, requested: int, now: float) -> None:
        """`requested`: the orchestrator's own number (instances), at `now` (monotonic seconds)."""
        task = self.task
        wanted = max(0, task.demand)
        if (
            wanted >= requested or task.backing_off
        ):  # one that backs off gives nothing, so nobody waits for it
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
        """Nothing is asked for in vain any more."""
        self._since = None
        self._write(requested, 0)

    def _write(self, requested: int, surplus: int) -> None:
        self._surplus = surplus
        self.task.requested = requested - surplus
        self.occupied.note(NOT_ANSWERED, self.task.name, surplus)
