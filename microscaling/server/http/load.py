"""The load of the server: the delay of its reading, and the connections that it has closed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque

from microscaling.utils.failure_log import FailureLog

log = logging.getLogger("mssserver")

POLL_INTERVAL_S = 0.25
LATE_S = 1.0
"""Delay from which on the server counts as too busy."""
REMEMBERED = 20
"""Delays that are kept; the worst of them counts."""
# 20 delays are 5 s; with fewer the warning on the page would flicker.


class Load:
    """Measures the delay of the event loop, which is that of reading reports."""

    def __init__(self) -> None:
        self.closes: Counter[str] = Counter()
        """Connections of agents that the server has closed or refused, by reason."""
        self._late: deque[float] = deque(maxlen=REMEMBERED)
        self._busy = FailureLog()

    @property
    def late_s(self) -> float:
        """The delay in seconds, to a tenth; 0 if the server is not too busy."""
        late = max(self._late, default=0.0)
        return round(late, 1) if late >= LATE_S else 0.0

    def closed(self, why: str) -> None:
        """Counts one more closed or refused connection."""
        self.closes[why] += 1

    def looked(self, late: float, now: float) -> None:
        """Records that the loop was `late` seconds behind at `now` (seconds of a monotonic clock)."""
        self._late.append(max(0.0, late))
        if self.late_s:
            if self._busy.failed(now):
                log.warning("too busy: reports are read %.1f s late", self.late_s)
        elif self._busy.recovered():
            log.info("reports are read in time again")

    async def watch(self) -> None:
        """Measures the delay of a short sleep, four times a second."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(POLL_INTERVAL_S)
            now = time.monotonic()
            self.looked(now - before - POLL_INTERVAL_S, now)
