"""The fewest containers with which the jobs of a run could have been done."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import ceil

Job = tuple[float, float, float]
"""When it came, how long it waited, and how long it took (seconds)."""


def work_within(jobs: Sequence[Job], seconds: float) -> float:
    """Returns the container-seconds that the jobs of a run took until its end: the lower bound of every plan.

    A container does one job at a time, so no plan has fewer container-seconds than the jobs take, whatever
    the promise. One that knows the future comes close to it: see `plan`.
    """
    return sum(min(took, max(0.0, seconds - came - wait)) for came, wait, took in jobs)


def plan(jobs: Sequence[Job], seconds: float, promise: float, beat_s: float = 0.5) -> tuple[float, float]:
    """Returns the container-seconds, and the longest wait, of a plan that knows all jobs ahead, and may start
    and stop containers at each beat. `promise`: seconds that a job may wait.

    A job begins when a container becomes free, or else at the last beat at which the promise is kept, on a
    new container. A container with nothing to do ends at the next beat. So containers have no breaks but
    those within a beat.
    """
    free: list[float] = []
    spent = longest = 0.0
    for came, _, took in sorted(jobs):
        latest = max(came, int((came + promise) / beat_s) * beat_s)
        # A container that becomes free before the job comes goes on only until the end of that beat.
        while free and came > ceil(free[0] / beat_s) * beat_s:
            begin = heapq.heappop(free)
            spent += min(seconds, ceil(begin / beat_s) * beat_s) - min(seconds, begin)
        if free and free[0] <= latest:
            at = max(came, free[0])
            spent += max(0.0, min(seconds, at) - min(seconds, free[0]))
            heapq.heapreplace(free, at + took)
        else:
            at = latest
            heapq.heappush(free, at + took)
        longest = max(longest, at - came)
        spent += max(0.0, min(took, seconds - at))
    return spent, longest
