"""Instances for which the cluster has no place."""

from __future__ import annotations

import logging

from microscaling.demand import limits
from microscaling.demand.task import Task
from microscaling.scheduler.settling import SETTLES_S

log = logging.getLogger("mssscheduler")

AGAIN_S = 300.0
"""Seconds after which it is tried again, without a sign that there is room."""


# No back-off: the instances that run do their work, so their task can be asked to give way to others.
class Placement:
    """Writes `room` of one task: if some of its instances are pending for 30 s, they give up their places
    under the cap, until the cluster may have room for more. The caller holds the lock of `Tasks`; times are
    monotonic seconds."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._since: float | None = None
        """When the first of them became pending."""
        self._requested = 0
        self._key = 0
        self._again = 0.0

    def look(self, requested: int, pending: int, key: int, now: float) -> bool:
        """Takes the numbers of the orchestrator. `key` changes whenever the cluster may have room for more.
        Returns True if `room` is another one now."""
        task = self.task
        if task.room is not None and (key != self._key or now >= self._again):
            self.end()
            return True
        # With a new number the time starts anew, as fewer may find a place.
        if self._since is None or not pending or requested != self._requested or key != self._key:
            self._since = now if pending else None
            self._requested, self._key = requested, key
            return False
        room = max(0, requested - pending)
        if now - self._since < SETTLES_S or (task.room is not None and task.room <= room):
            return False
        task.room, self._again = room, now + AGAIN_S
        log.warning(
            "%s: %s for %g s: until the cluster has room, others may have these places",
            task.name, task.unplaced, SETTLES_S,
        )  # fmt: skip
        if task.demand > room:
            limits.hold_at(task, room, f"no place in the cluster: {task.unplaced}")
        return True

    def end(self) -> None:
        """Forgets what was pending."""
        self.task.room, self._since = None, None
