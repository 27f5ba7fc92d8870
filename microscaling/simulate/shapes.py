"""Loads: the rate of arriving jobs over time, and the moments at which jobs arrive."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SLICE_S = 0.25
"""Seconds for which the rate counts as constant."""

Rate = Callable[[float], float]
"""Jobs per second at a time (seconds)."""


@dataclass(frozen=True)
class Load:
    """One load: jobs per second over time."""

    name: str
    rate: Rate
    counts: tuple[tuple[float, float, int], ...] = ()
    """Recorded jobs, as (from, until, number); they take the place of `rate`."""
    outage: tuple[float, float] | None = None
    """The source cannot be read between these times (seconds)."""
    slow: tuple[float, float] | None = None
    """From the first number (seconds) on, jobs take so many times longer (the second number)."""

    def arrivals(self, until: float, rng: random.Random) -> Iterator[float]:
        """Yields the times (seconds) of all jobs up to `until`, in order: a Poisson process with the rate,
        or the recorded numbers of jobs, spread at random over their intervals."""
        if self.counts:
            # A record has no moments within its intervals; at random is how single jobs come.
            for begin, end, count in self.counts:
                yield from (t for t in sorted(rng.uniform(begin, end) for _ in range(count)) if t < until)
            return
        expovariate = rng.expovariate
        for i in range(math.ceil(until / SLICE_S)):
            begin = i * SLICE_S
            end = min(until, begin + SLICE_S)
            rate = self.rate(begin + SLICE_S / 2)
            # A Poisson process has no memory, so each slice may begin anew.
            t = begin
            while rate > 0:
                t += expovariate(rate)
                if t >= end:
                    break
                yield t
