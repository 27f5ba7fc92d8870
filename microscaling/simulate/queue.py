"""A simulated queue: jobs that wait, and the containers that work on them one at a time."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from math import inf


class SimulatedQueue:
    """Jobs in the order of their arrival, and containers of which each takes the next job when it is free.

    `arrivals`: the times of the jobs, in order; `service_s(at)`: the seconds that the next job takes that is
    begun at this time.
    """

    def __init__(self, arrivals: Iterator[float], service_s: Callable[[float], float]) -> None:
        self.arrived = 0
        self.jobs: list[tuple[float, float, float]] = []
        """Time of its arrival, and seconds that it has waited and took, of each job that was begun."""
        self._arrivals = itertools.chain(arrivals, itertools.repeat(inf))
        self._next = next(self._arrivals)
        self._service_s = service_s
        self._waiting: deque[float] = deque()
        self._free: list[tuple[float, int]] = []
        """Of each container, the time from which it is free; a heap."""
        self.now = 0.0

    @property
    def waiting(self) -> int:
        """The jobs that wait."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """The jobs that are being worked on, by containers that are to stay."""
        return sum(free > self.now for free, _ in self._free)

    def oldest_s(self) -> float:
        """Returns for how long the oldest waiting job has waited (seconds); 0 if none waits."""
        return self.now - self._waiting[0] if self._waiting else 0.0

    def advance(self, until: float) -> None:
        """Lets all happen until that time."""
        free, waiting, jobs = self._free, self._waiting, self.jobs
        arrival = self._next
        while True:
            while arrival <= until and (not waiting or not free):
                waiting.append(arrival)
                arrival = next(self._arrivals)
                self.arrived += 1
            if not waiting or not free or free[0][0] > until:
                break
            came = waiting.popleft()
            # The container that has been free for longest takes it: all are alike.
            at, number = free[0]
            if came > at:
                at = came
            took = self._service_s(at)
            heapq.heapreplace(free, (at + took, number))
            jobs.append((came, at - came, took))
        while arrival <= until:
            waiting.append(arrival)
            arrival = next(self._arrivals)
            self.arrived += 1
        self._next = arrival
        self.now = until

    def add(self, number: int) -> None:
        """Adds a container that takes its first job now."""
        heapq.heappush(self._free, (self.now, number))

    def remove(self, number: int) -> float:
        """Takes a container away, which ends the job that it has begun. Returns the time of that end."""
        # The heap has the containers by the time at which they are free, not by their number.
        i = next(i for i, (_, each) in enumerate(self._free) if each == number)
        end = self._free[i][0]
        self._free[i] = self._free[-1]
        self._free.pop()
        heapq.heapify(self._free)
        return max(end, self.now)

    def all_waits(self) -> list[tuple[float, float]]:
        """Returns arrival and wait of all jobs, of those that still wait until now."""
        return [(came, wait) for came, wait, _ in self.jobs] + [
            (came, self.now - came) for came in self._waiting
        ]
