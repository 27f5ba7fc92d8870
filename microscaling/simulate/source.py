"""A simulated source: the state of a queue, as old as the readings of a real one."""

from __future__ import annotations

from collections import deque
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement, Metric, Source
from microscaling.simulate.queue import SimulatedQueue

COUNTED = NUMBER, STATES, COUNTERS = "number", "states", "counters"
"""What a source counts: the waiting jobs; the running ones, too; and those that have come and gone."""


class SimulatedSource(Source):
    """Answers with the measurement of a queue that is `age_s` old; it measures every `interval_s` seconds."""

    def __init__(
        self, name: str, queue: SimulatedQueue, counts: str, age_s: float, interval_s: float
    ) -> None:
        self.name = name
        self.key = ("simulated", name)
        self.queue = queue
        self.counts = counts
        self.age_s, self.interval_s = age_s, interval_s
        self.outage: tuple[float, float] | None = None
        self._last = float("-inf")
        self._kept: deque[tuple[float, int | Measurement]] = deque()
        """Time and value of the measurements that are still to be answered with."""

    def measure(self) -> None:
        """Measures now, if it is time; called at each beat, after the queue has been advanced."""
        now = self.queue.now
        # Beats are sums in floating point.
        if now - self._last < self.interval_s - 1e-9:
            return
        self._last = now
        while len(self._kept) > 1 and self._kept[1][0] <= now - self.age_s + 1e-9:
            self._kept.popleft()
        self._kept.append((now, self._value()))

    def _value(self) -> int | Measurement:
        queue = self.queue
        if self.counts == NUMBER:
            return queue.waiting
        if self.counts == STATES:
            return Measurement(queue.waiting, queue.busy)
        busy = queue.busy
        return Measurement(
            queue.waiting, busy, arrived=queue.arrived, finished=queue.arrived - queue.waiting - busy
        )

    def fetch(self) -> int | Measurement:
        now = self.queue.now
        # An outage is an error of the source, which is never a number.
        if self.outage is not None and self.outage[0] <= now < self.outage[1]:
            raise MetricError(f"{self.name}: the simulated outage")
        found = self._kept[0][1]
        for at, value in self._kept:
            if at > now - self.age_s + 1e-9:
                break
            found = value
        return found


class SimulatedMetric(Metric):
    """The metric of a simulated source."""

    def __init__(self, source: SimulatedSource) -> None:
        self.source = source
        self.pace_s = source.interval_s

    def read(self, answer: Any) -> int | Measurement:
        found: int | Measurement = answer
        return found
