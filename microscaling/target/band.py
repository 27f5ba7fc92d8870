"""The band of a rule: the readings at which a task keeps its containers."""

from __future__ import annotations

import functools
from bisect import bisect_left
from dataclasses import dataclass

from microscaling.target.base import Target

MAX_READING = 2**31
"""Items; a longer queue is not looked at."""


@dataclass(frozen=True, slots=True)
class Band:
    """Readings (items) between which a task keeps its containers."""

    back: int
    """It gives back at this reading and below; negative: at none."""
    more: int
    """It wants more at this reading and above."""


# Cached, as agents report twice a second, and the number of containers seldom changes.
@functools.lru_cache(4096)
def band_of(target: Target, running: int) -> Band | None:
    """Returns the band of a task with `running` containers, for a queue that does not move; None if the rule
    does not say. Searched with the rule itself, so it cannot differ from the decisions."""
    if target.steady(0, running) is None:
        return None

    def change(current: int) -> int:
        return target.steady(current, running) or 0

    # By bisection: a rule never wants less at a longer queue.
    readings = range(MAX_READING)
    more = bisect_left(readings, True, key=lambda c: change(c) > 0 and not target.meeting(c))
    kept = bisect_left(readings, True, key=lambda c: not (change(c) < 0 and target.exceeding(c)))
    return Band(kept - 1, more) if more < MAX_READING else None
