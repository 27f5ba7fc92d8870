"""Whether a promise was kept: the waits of the last minutes against the longest that was promised."""

from __future__ import annotations

from collections import deque

SPAN_S = 600.0
"""Seconds that are looked back."""
PART_S = 30.0
MOST_GAP_S = 5.0
"""Seconds between two notes; of a longer gap nothing is known."""


class Kept:
    """The waits of the last SPAN_S, in parts of PART_S. Times in seconds."""

    __slots__ = ("_last", "_parts", "wait_s")

    def __init__(self) -> None:
        self._parts: deque[list[float]] = deque()
        """Begin, seconds that were seen, those above the promise, and the longest wait."""
        self._last: float | None = None
        self.wait_s: float | None = None
        """The last wait; None: none is known."""

    def note(self, now: float, wait_s: float, promise: float) -> None:
        """Takes over the wait at this moment."""
        parts = self._parts
        while parts and parts[0][0] < now - SPAN_S:
            parts.popleft()
        if not parts or now - parts[-1][0] >= PART_S:
            parts.append([now, 0.0, 0.0, 0.0])
        passed = 0.0 if self._last is None else now - self._last
        part = parts[-1]
        if passed <= MOST_GAP_S:
            part[1] += passed
            part[2] += passed if wait_s > promise else 0.0
        part[3] = max(part[3], wait_s)
        self._last, self.wait_s = now, wait_s

    def longest_s(self) -> float:
        """Returns the longest wait."""
        return max((part[3] for part in self._parts), default=0.0)

    def share(self) -> float:
        """Returns the part of the time in which the promise was kept; 1 if nothing was seen yet."""
        seen = sum(part[1] for part in self._parts)
        return 1 - sum(part[2] for part in self._parts) / seen if seen else 1.0
