"""How much of everything there may be, and how refusals are told without filling the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from microscaling.utils.text import one_line

log = logging.getLogger("mssserver")

MAX_BYTES = 256 * 1024
"""Of one message or request body."""
MAX_HEADER_BYTES = 32 * 1024
MAX_USERS = 2000
MAX_AGENTS = 2000
"""What one core should carry at two reports a second each: an estimate (docs/server.md)."""
MAX_SILENT = 512
"""Agents that have not said yet whose they are; above it one that has really been silent goes."""
SILENT_S = 2.0
"""An agent sends its first report within half a second, so one that says nothing for longer may go."""
MAX_WATCHERS = 200
MAX_APPS = 1000
"""Of one user."""
MAX_TOLD = 200_000
"""Tasks that all agents together may tell of."""
MAX_NAME = 128
"""Characters of a user's or task's name."""
MAX_COUNT = 1_000_000
"""Containers that a report may claim."""
MAX_REASON = 300
"""Characters."""
MAX_REMEMBERED = 1000
"""Different refusals that are remembered, and addresses that have tried wrong tokens."""
SAID_FOR_S = 300.0

CUT_OFF = "graceful shutdown exceeded"
"""Who is still busy at the end of the grace; there is nothing that anybody could do about it."""
OF_REFUSALS = ("Invalid HTTP request", "Invalid UTF-8", "Unsupported upgrade", "without completing response")

Clock = Callable[[], float]


class Refused(Exception):
    """What somebody sent is not acceptable; the text says why, in words that may be logged."""


class Full(Refused):
    """There is no place at this moment."""


class Bucket:
    """Lets `burst` things through at once, and `rate` a second in the long run."""

    __slots__ = ("_full_at", "_last", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._full_at = burst
        self._last = now

    def take(self, now: float) -> float:
        """Takes one. Returns how many seconds to wait first; 0: none."""
        self._full_at = min(self.burst, self._full_at + (now - self._last) * self.rate) - 1
        self._last = now
        return max(0.0, -self._full_at / self.rate)

    def allows(self, now: float) -> bool:
        """Takes one if there is one."""
        if self.peek(now) > 0:
            return False
        self.take(now)
        return True

    def peek(self, now: float) -> float:
        """In how many seconds there will be one; 0: there is."""
        have = min(self.burst, self._full_at + (now - self._last) * self.rate)
        return max(0.0, (1 - have) / self.rate)


class Refusals:
    """Tells each kind of refusal once, then no more for five minutes, and counts them all."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.count = 0
        self._clock = clock
        self._said: OrderedDict[tuple[str, str], float] = OrderedDict()

    def refuse(self, who: str, why: str) -> None:
        """`who`: where it came from, without a port; `why`: in words."""
        self.count += 1
        now, key = self._clock(), (who, why[:80])
        last = self._said.get(key)
        if last is not None and now - last < SAID_FOR_S:
            return
        self._said[key] = now
        self._said.move_to_end(key)
        while len(self._said) > MAX_REMEMBERED:
            self._said.popitem(last=False)
        log.warning("refused, from %s: %s", one_line(who), one_line(why)[:400])


class ToldOnce(logging.Filter):
    """What uvicorn says of requests that make no sense, and of those that were broken off, is said
    once; its own mistakes, and ours, are left as they are, but once too.
    """

    def __init__(self, refusals: Refusals) -> None:
        super().__init__()
        self.refusals = refusals
        self._errors: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage().strip()
        error = record.exc_info[1] if record.exc_info else None
        if CUT_OFF in said or isinstance(error, asyncio.CancelledError):
            return False
        if any(words in said for words in OF_REFUSALS):
            self.refusals.refuse("somebody", said.rstrip("."))
            return False
        if record.levelno < logging.ERROR:
            return True
        known = f"{said[:80]} {error!r:.200}"
        if known in self._errors or len(self._errors) >= MAX_REMEMBERED:
            return False
        self._errors.add(known)
        return True
