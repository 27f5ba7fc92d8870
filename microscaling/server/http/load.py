"""How busy the server is: how late it reads, and which connections it has closed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque

from microscaling.utils.failure_log import FailureLog

log = logging.getLogger("mssserver")

LOOK_S = 0.25
LATE_S = 1.0
"""From here on the server is too busy."""
REMEMBERED = 20
"""Looks: the worst of the last 5 s counts, so that the page does not flicker."""


class Load:
    """Measures by how much the event loop is behind, which is how late reports are read."""

    def __init__(self) -> None:
        self.closes: Counter[str] = Counter()
        """Connections of agents that the server has closed or refused, by reason."""
        self._late: deque[float] = deque(maxlen=REMEMBERED)
        self._busy = FailureLog()

    @property
    def late_s(self) -> float:
        """Seconds, to a tenth; 0 when it is not too busy."""
        late = max(self._late, default=0.0)
        return round(late, 1) if late >= LATE_S else 0.0

    def closed(self, why: str) -> None:
        """One more connection."""
        self.closes[why] += 1

    def looked(self, late: float, now: float) -> None:
        """The loop was `late` seconds behind at `now` (a clock that never goes back)."""
        self._late.append(max(0.0, late))
        if self.late_s:
            if self._busy.failed(now):
                log.warning("too busy: reports are read %.1f s late", self.late_s)
        elif self._busy.recovered():
            log.info("reports are read in time again")

    async def watch(self) -> None:
        """Looks several times a second."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            self.looked(now - before - LOOK_S, now)
