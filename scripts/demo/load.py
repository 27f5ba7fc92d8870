"""The load of the demo: rises and falls, and puts jobs into the queues."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from scripts.demo.jobs import Jobs

PERIOD_S = 14.0
RISES_S, FALLS_S = 3.0, 8.5
"""In every period, when the load of the most important task rises and falls."""
TICK_S = 0.05
STOCK = 200
"""Jobs that always wait for the task that takes what is left."""


def rush(seconds: float) -> bool:
    """Whether the most important task has much to do at this time of the demo."""
    return RISES_S <= seconds % PERIOD_S < FALLS_S


def rates(seconds: float) -> dict[str, float]:
    """Jobs per second that come into each queue at this time of the demo."""
    phase = seconds % PERIOD_S
    return {
        "checkout": 23.0 if rush(seconds) else 2.0,
        "thumbnails": 11.0 if FALLS_S + 1.5 <= phase < FALLS_S + 5.5 else 3.0,
    }


@dataclass(frozen=True)
class Change:
    """From `at` to `until` (seconds) containers should go from one task to the other."""

    at: float
    until: float
    giver: str
    taker: str


def changes(until: float) -> list[Change]:
    """Every time that the load of the most important task has changed by then."""
    found = []
    for period in range(int(until / PERIOD_S) + 1):
        rises, falls = period * PERIOD_S + RISES_S, period * PERIOD_S + FALLS_S
        found.append(Change(rises, falls, "batch", "checkout"))
        found.append(Change(falls, rises + PERIOD_S, "checkout", "batch"))
    return [change for change in found if change.at < until]


class Load(threading.Thread):
    """Puts jobs into the table until it is stopped."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__(name="demo-load")
        self.jobs = jobs
        self.put = {"checkout": 0, "thumbnails": 0, "batch": 0}
        self.stopped = threading.Event()

    def stop(self) -> None:
        """Flags, and waits."""
        self.stopped.set()
        self.join()

    def run(self) -> None:
        began = before = time.monotonic()
        due: dict[str, float] = {}
        while not self.stopped.wait(TICK_S):
            now = time.monotonic()
            for queue, rate in rates(now - began).items():
                due[queue] = due.get(queue, 0.0) + rate * (now - before)
                self._put(queue, int(due[queue]))
                due[queue] %= 1.0
            self._put("batch", STOCK - self.jobs.waiting("batch"))
            before = now

    def _put(self, queue: str, count: int) -> None:
        if count > 0:
            self.jobs.put(queue, count)
            self.put[queue] += count
