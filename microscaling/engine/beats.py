"""The times of the measurements."""

from __future__ import annotations

import math


class Beats:
    """Instants at exact intervals of `beat_s` seconds, counted from `start`; uses no clock."""

    def __init__(self, beat_s: float, start: float) -> None:
        self.beat_s = beat_s
        self.start = start
        self.number = 0
        """The latest beat that is, or was, due."""
        self.missed = 0
        """Number of beats skipped just before it."""
        self.skipped = 0
        """Number of all beats that were skipped."""

    @property
    def due(self) -> float:
        """Time of beat `number`."""
        return self.start + self.number * self.beat_s  # a sum of intervals would drift

    def next(self, now: float) -> float:
        """Advances to the first beat that can still be kept at `now`; returns its time."""
        # A missed beat is not made up for, nor one less than half a beat away: a controller that runs twice
        # in a row sees a velocity that was not there.
        last = self.number
        self.number = max(last + 1, math.floor((now - self.start) / self.beat_s + 0.5) + 1)
        self.missed = self.number - last - 1
        self.skipped += self.missed
        return self.due
