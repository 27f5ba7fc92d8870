"""The limits of the server, and the rate limit for log lines about refusals."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from microscaling.utils.text import one_line

log = logging.getLogger("mssserver")

MAX_BYTES = 256 * 1024
"""Largest message or request body."""
MAX_HEADER_BYTES = 32 * 1024
MAX_USERS = 2000
MAX_AGENTS = 2000
"""An estimate of the load that one core carries, at two reports a second each (docs/server.md)."""
MAX_SILENT = 512
"""Agents without a first report; for one more, a silent one is disconnected."""
SILENT_S = 2.0
"""Time after which an agent without a first report may be disconnected."""
# An agent sends its first report within half a second.
MAX_WATCHERS = 200
MAX_APPS = 1000
"""Tasks of one user."""
MAX_TOLD = 200_000
"""Tasks in the reports of all agents together."""
MAX_NAME = 128
"""Characters of a user's or task's name."""
MAX_COUNT = 1_000_000
"""Containers of a task in a report."""
MAX_REASON = 300
"""Characters of a reason in a report."""
MAX_REMEMBERED = 1000
"""Different refusals that are remembered, and addresses with wrong tokens."""
SAID_FOR_S = 300.0

CUT_OFF = "graceful shutdown exceeded"
"""uvicorn's line about requests that are still open at the end of the grace."""
OF_REFUSALS = ("Invalid HTTP request", "Invalid UTF-8", "Unsupported upgrade", "without completing response")

Clock = Callable[[], float]


class Refused(Exception):
    """A message or connection is not accepted; the text has the reason, and may be logged."""


class Full(Refused):
    """There is no place at this moment."""


class Bucket:
    """A token bucket: allows `burst` events at once, and `rate` a second in the long run."""

    __slots__ = ("_full_at", "_last", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._full_at = burst
        self._last = now

    def take(self, now: float) -> float:
        """Takes one token, also in advance. Returns the seconds until it is due; 0: at once."""
        self._full_at = min(self.burst, self._full_at + (now - self._last) * self.rate) - 1
        self._last = now
        return max(0.0, -self._full_at / self.rate)

    def allows(self, now: float) -> bool:
        """Takes one token if there is one. Returns whether there was."""
        if self.peek(now) > 0:
            return False
        self.take(now)
        return True

    def peek(self, now: float) -> float:
        """Returns the seconds until there is a token; 0: there is one."""
        have = min(self.burst, self._full_at + (now - self._last) * self.rate)
        return max(0.0, (1 - have) / self.rate)


class Refusals:
    """Counts refusals, and logs each kind of them at most once in five minutes."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.count = 0
        self._clock = clock
        self._said: OrderedDict[tuple[str, str], float] = OrderedDict()

    def refuse(self, who: str, why: str) -> None:
        """Counts and logs a refusal. `who`: the address behind it, without a port; `why`: the reason."""
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
    """Logs each kind of bad request, and each error, of uvicorn's log only once."""

    def __init__(self, refusals: Refusals) -> None:
        super().__init__()
        self.refusals = refusals
        self._errors: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether to log a record of uvicorn or asyncio."""
        said = record.getMessage().strip()
        error = record.exc_info[1] if record.exc_info else None
        if CUT_OFF in said or isinstance(error, asyncio.CancelledError):
            return False  # open at the end of the grace: a person could do nothing about it
        if any(words in said for words in OF_REFUSALS):
            self.refusals.refuse("an unknown address", said.rstrip("."))
            return False
        if record.levelno < logging.ERROR:
            return True
        known = f"{said[:80]} {error!r:.200}"
        if known in self._errors or len(self._errors) >= MAX_REMEMBERED:
            return False
        self._errors.add(known)
        return True
