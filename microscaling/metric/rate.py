"""The load of a proxy: requests that are open now, or requests a second from a counter that only rises."""

from __future__ import annotations

import math
import time
from collections import deque

from microscaling.errors import MetricError
from microscaling.metric.base import LARGEST
from microscaling.plugins import Field

IN_FLIGHT, PER_SECOND = "inFlight", "perSecond"
WINDOW_S = 10.0
LEAST_S = 0.3
"""Two readings that are closer together give no rate: one request more would be many a second."""
MEASURE = Field(
    "measure",
    "Measure",
    default=IN_FLIGHT,
    choices=(IN_FLIGHT, PER_SECOND),
    hint="inFlight: requests that are open now; perSecond: requests a second, over the last 10 s",
)


class Rate:
    """Requests a second, from the readings of a counter over the last 10 s. For one thread at a time."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()

    def of(self, count: int, what: str, now: float | None = None) -> int:
        """Takes a reading of the counter (requests); returns the requests a second, rounded up. Raises
        MetricError for the first reading, also after a restart of the proxy: a rate needs two."""
        now = time.monotonic() if now is None else now
        if self._readings and count < self._readings[-1][1]:
            self._readings.clear()  # the proxy was started anew, and all before is another counter's
        if self._readings and now - self._readings[-1][0] > 3 * WINDOW_S:
            self._readings.clear()  # an outage; the mean over it would be old news
        # One reading may be a burst: two beats are half a second apart.
        self._readings.append((now, count))
        # The first one left is the newest of those that are old enough.
        while len(self._readings) > 2 and now - self._readings[1][0] >= WINDOW_S:
            self._readings.popleft()
        since, before = self._readings[0]
        if now - since < LEAST_S:
            raise MetricError(f"{what}: a rate needs a second reading, which comes soon")
        return min(LARGEST, math.ceil((count - before) / (now - since)))
