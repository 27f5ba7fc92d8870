"""The measurements that applications push, by site and task. Nothing here does I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from microscaling.api.jobs import jobs_of
from microscaling.metric.measurement import Measurement
from microscaling.server.limits import MAX_APPS, Refused

MAX_PUSHED = 20_000
"""Tasks of all sites together."""
FORGET_S = 3600.0
"""Age after which a measurement makes room for others; no task counts one of that age."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """One measurement, and when it came."""

    found: Measurement
    taken: float
    """Monotonic seconds."""
    at: float = field(default_factory=time.time)
    """Unix seconds."""


class Pushes:
    """The last measurement of each task. They are not kept on disk: after a restart there is none."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, Pushed]] = {}

    def put(self, site: str, task: str, found: Measurement) -> None:
        """Keeps a measurement that has just come. Raises Refused if there are too many."""
        tasks = self._of.get(site, {})
        # Whoever has the token may send any name, so their number has a limit.
        if task not in tasks:
            if len(tasks) >= MAX_APPS:
                raise Refused(f"more than {MAX_APPS} tasks of this site are measured so")
            if self._count() >= MAX_PUSHED:
                self._forget()
            if self._count() >= MAX_PUSHED:
                raise Refused(f"more than {MAX_PUSHED} tasks are measured so")
        self._of.setdefault(site, {})[task] = Pushed(found, time.monotonic())

    def of(self, site: str) -> dict[str, dict[str, Any]]:
        """Returns the measurements of a site by task, as agents get them, with their age in seconds."""
        # A clock that is set would make an old number fresh.
        now = time.monotonic()
        return {
            task: {**jobs_of(pushed.found), "at": pushed.at, "seconds": round(now - pushed.taken, 3)}
            for task, pushed in self._of.get(site, {}).items()
        }

    def _count(self) -> int:
        return sum(map(len, self._of.values()))

    def _forget(self) -> None:
        """Forgets those that are old."""
        since = time.monotonic() - FORGET_S
        left = {
            site: {task: one for task, one in of_site.items() if one.taken > since}
            for site, of_site in self._of.items()
        }
        self._of = {site: of_site for site, of_site in left.items() if of_site}
