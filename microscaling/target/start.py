"""The time that a container takes to start, learned from the containers that run."""

from __future__ import annotations

DEFAULT_S = 1.0
LATELY = 0.3
"""Weight of the last start in the mean."""
MAX_S = 120.0
"""A start that takes longer is none to learn from: there may be no place for it."""


class Start:
    """The seconds from the request of a container until it runs: configured, or the mean of the last
    starts."""

    __slots__ = ("_asked", "_learns", "_wanted", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self._learns = seconds is None
        self.seconds = DEFAULT_S if seconds is None else seconds
        self._asked: float | None = None
        """The time of the request; None: all that were requested run."""
        self._wanted = 0

    def look(self, now: float, requested: int, running: int) -> None:
        """Compares the containers that are requested with those that run."""
        if not self._learns:
            return
        if self._asked is None:
            if requested > running:
                self._asked, self._wanted = now, running + 1
        elif running >= self._wanted or requested <= running:
            # A request that was taken back is no start.
            took = now - self._asked
            if running >= self._wanted and took <= MAX_S:
                self.seconds += LATELY * (took - self.seconds)
            self._asked = None
