"""The running containers of a task in the last minutes, for rules that look back."""

from __future__ import annotations

from bisect import bisect_right

MAX_ENTRIES = 1024


class Past:
    """The number of running containers over time, as seen at each decision. Times in seconds."""

    __slots__ = ("_changed", "_counts", "_served", "_started", "_times")

    def __init__(self) -> None:
        self._times: list[float] = []
        self._counts: list[int] = []
        # Each is a sum from the beginning to the entry, so that any span is a difference of two.
        self._served: list[float] = []
        self._started: list[int] = []
        self._changed: list[float] = []

    def note(self, now: float, count: int) -> None:
        """Adds the containers that run now."""
        if self._times:
            seconds, before = now - self._times[-1], self._counts[-1]
            # It is not known when a container began or ended between two looks: the middle is the best guess.
            self._served.append(self._served[-1] + seconds * (before + count) / 2)
            self._started.append(self._started[-1] + max(0, count - before))
            self._changed.append(self._changed[-1] + seconds * abs(count - before))
        else:
            self._served.append(0.0)
            self._started.append(0)
            self._changed.append(0.0)
        self._times.append(now)
        self._counts.append(count)
        if len(self._times) > MAX_ENTRIES:
            for each in (self._times, self._counts, self._served, self._started, self._changed):
                del each[: MAX_ENTRIES // 2]

    def served(self, begin: float, end: float) -> float:
        """Returns the container-seconds between two times; before the first entry there were none."""
        return self._until(end) - self._until(begin)

    def started(self, begin: float, end: float) -> int:
        """Returns the containers that began after one time, and until another."""
        first, last = self._at(begin), self._at(end)
        return self._started[last] - self._started[first] if self._times else 0

    def changed(self, begin: float, end: float) -> float:
        """Returns the container-seconds by which `served` may be wrong, as the moments of starts and ends are
        not known exactly."""
        first, last = self._at(begin), self._at(end)
        return self._changed[last] - self._changed[first] if self._times else 0.0

    def _until(self, at: float) -> float:
        i = bisect_right(self._times, at) - 1
        if i < 0:
            return self._served[0] if self._served else 0.0
        since, last = at - self._times[i], i + 1 == len(self._times)
        count = self._counts[i] if last else (self._counts[i] + self._counts[i + 1]) / 2
        return self._served[i] + since * count

    def _at(self, at: float) -> int:
        """Returns the place of the last entry until that time; 0 if all are later."""
        return max(0, bisect_right(self._times, at) - 1)
