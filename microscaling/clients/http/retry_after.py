"""Pauses at the request of a server, by the header Retry-After (RFC 9110, 10.2.3)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

STATUSES = (429, 503)
"""Too Many Requests (RFC 6585) and Service Unavailable; with others the header has another meaning."""
MAX_S = 3600.0
"""Longest pause: a server that asks for a year by mistake is asked again after an hour."""
SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")


@dataclass(frozen=True)
class Pause:
    """A request that must not be repeated before `until` (seconds of time.monotonic)."""

    method: str
    url: str
    until: float
    status: int
    asked_s: float
    """Seconds from the answer to `until`."""

    def covers(self, method: str, url: str) -> bool:
        """Whether this request has to wait now."""
        return (method, url) == (self.method, self.url) and time.monotonic() < self.until


def pause_s(status: int, headers: Mapping[str, str]) -> float:
    """Returns the pause that an answer asks for, in seconds; 0: none, or the header cannot be read."""
    if status not in STATUSES:
        return 0.0
    # Seconds, or a date.
    text = headers.get("Retry-After", "").strip()
    if not text:
        return 0.0
    if SECONDS.fullmatch(text):
        return min(float(text), MAX_S)
    until = _seconds_of(text)
    if until is None:
        return 0.0
    # By the server's own clock, if the answer has it, so that a difference of the clocks does not matter.
    now = _seconds_of(headers.get("Date", "")) or time.time()
    return min(max(0.0, until - now), MAX_S)


def _seconds_of(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
