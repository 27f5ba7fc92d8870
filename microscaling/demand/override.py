"""An override: a person has paused a task, or pinned it to a number of containers."""

from __future__ import annotations

import time
from dataclasses import dataclass

MAX_CONTAINERS = 100_000
LAST = 253_402_300_799.0
"""The last second (since 1970) of the year 9999."""


@dataclass(frozen=True, slots=True)
class Override:
    """The will of a person, which goes before the rule of a task."""

    containers: int | None = None
    """The number that it is pinned to; None: paused, it keeps the containers that it has."""
    until: float | None = None
    """The end, in seconds since 1970; None: until it is resumed."""
    down: bool = False
    """It is paused without containers; `containers` is 0."""

    def words(self) -> str:
        """Describes it: "pinned to 3 by hand until 2026-11-29 12:00:00 UTC"."""
        what = "paused" if self.containers is None else f"pinned to {self.containers}"
        what = "paused without containers" if self.down else what
        if self.until is None:
            return f"{what} by hand"
        return f"{what} by hand until {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(self.until))} UTC"
