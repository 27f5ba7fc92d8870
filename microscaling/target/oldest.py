"""The age of the oldest waiting item, from the lengths of its queue and the jobs that were done since."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MOST = 4096
"""Lengths that are kept."""


class Oldest:
    """The lengths of a queue at which some of its items came that still wait. Times in seconds.

    Of a queue in order, all that waited at a moment is gone once as many have been taken since. So the oldest
    item came after the last such moment: no length of now, and no speed of now, would tell it after a change.
    """

    __slots__ = ("_lengths",)

    def __init__(self) -> None:
        self._lengths: deque[tuple[float, int]] = deque(maxlen=MOST)

    def look(self, at: float, waiting: int, taken_since: Callable[[float], float]) -> float:
        """Returns the age of the oldest item at a time. `taken_since`: the items that were taken between a
        time and this one."""
        lengths = self._lengths
        if not waiting:
            lengths.clear()
        lengths.append((at, waiting))
        while len(lengths) > 1 and lengths[1][1] <= taken_since(lengths[1][0]):
            lengths.popleft()
        return at - lengths[0][0]
