"""When to measure."""

from __future__ import annotations

import math


class Beats:
    """Instants that are exactly `beat_s` seconds apart, counted from `start`; knows no clock.

    One that has passed is not made up for, nor one that is less than half a beat away: a
    controller that is run twice in a row sees a speed that was not there.
    """

    def __init__(self, beat_s: float, start: float) -> None:
        self.beat_s = beat_s
        self.start = start
        self.number = 0
        """The beat that is, or was, due last."""
        self.missed = 0
        """How many were left out before it."""

    @property
    def due(self) -> float:
        """When beat `number` is due."""
        return self.start + self.number * self.beat_s  # not summed up: that would drift

    def next(self, now: float) -> float:
        """Goes on to the first beat that can still be kept at `now`; returns when it is due."""
        last = self.number
        self.number = max(last + 1, math.floor((now - self.start) / self.beat_s + 0.5) + 1)
        self.missed = self.number - last - 1
        return self.due
