"""Windows of time in which a task has other limits than its own.

Pure: the caller passes the time, in seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from microscaling.utils.local_time import instant_of, local_of
from microscaling.utils.recurrence import Recurrence

MARGIN = timedelta(hours=3)
"""No clock is ever set back by more."""
MOST_EDGES = 200
"""Edges to look at for the next change: windows that follow one another without a gap change nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a task; in a window, None for those that stay its own."""

    least: int | None = None
    most: int | None = None
    priority: int | None = None
    length: int | None = None
    """The target length of its queue (items)."""
    delta: int | None = None
    """The largest change of one decision; of a window, always None."""

    def over(self, own: Limits) -> Limits:
        """Returns a task's own limits with these in their places."""
        least = own.least if self.least is None else self.least
        most = own.most if self.most is None else self.most
        assert least is not None
        assert most is not None
        return Limits(
            least,
            most,
            own.priority if self.priority is None else self.priority,
            own.length if self.length is None else self.length,
            own.delta if (least, most) == (own.least, own.most) else most - least,
        )

    def words(self) -> str:
        """Describes them as the configuration has them: "minContainers 4, maxContainers 8"."""
        named = {"minContainers": self.least, "maxContainers": self.most}
        named |= {"priority": self.priority, "targetQueueLength": self.length}
        return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


@dataclass(frozen=True)
class Window:
    """One window: it begins at each of the times in `start`, and ends at the first one in `end` after
    that."""

    start: Recurrence
    end: Recurrence
    zone: tzinfo
    limits: Limits
    text: str
    """Its times, for a person: "Mon-Fri 08:00 to 18:00 Europe/Berlin"."""

    def until(self, now: float) -> float | None:
        """Returns its end, if it is open now."""
        # Local times are compared only by their instants, as at the end of summer time they come twice.
        local = self.start.before(local_of(now, self.zone) + MARGIN)
        while local is not None and instant_of(local, self.zone) > now:
            local = self.start.before(local)
        end = None if local is None else self.end.after(local)
        if local is None or end is None:
            return None
        until = instant_of(end, self.zone)
        return until if until > now else None

    def next_start(self, now: float) -> float | None:
        """Returns its next beginning."""
        local = self.start.after(local_of(now, self.zone) - MARGIN)
        while local is not None and not self._begins(local, now):
            local = self.start.after(local)
        return None if local is None else instant_of(local, self.zone)

    def _begins(self, local: datetime, now: float) -> bool:
        """True if it begins after `now`, and is not empty because a clock jumps over it."""
        begin, end = instant_of(local, self.zone), self.end.after(local)
        return begin > now and (end is None or instant_of(end, self.zone) > begin)


@dataclass(frozen=True)
class Schedule:
    """The windows of a task; the first one that is open counts. `length`: the task's own target length; None
    if its rule has none."""

    windows: tuple[Window, ...]
    length: int | None = None

    def open_at(self, now: float) -> Window | None:
        """Returns the window that counts."""
        return next((window for window in self.windows if window.until(now) is not None), None)

    def next_change(self, now: float) -> tuple[float, Window | None] | None:
        """Returns the time at which another window counts, or none, and that window; None if nothing will
        change, as far as one can see."""
        present, at = self.open_at(now), now
        for _ in range(MOST_EDGES):
            edges = [edge for window in self.windows for edge in (window.until(at), window.next_start(at))]
            at = min((edge for edge in edges if edge is not None), default=at)
            if at <= now:
                return None
            then = self.open_at(at)
            if then is not present:
                return at, then
        return None

    def largest_minimum(self, own: int) -> int:
        """Returns the largest of its minimums and of the task's own."""
        return max(own, *(window.limits.least or 0 for window in self.windows))

    def within(self, most: int) -> Schedule:
        """Returns the same windows with no number of containers above `most`."""
        return Schedule(
            tuple(Window(w.start, w.end, w.zone, _within(w.limits, most), w.text) for w in self.windows),
            self.length,
        )


def _within(limits: Limits, most: int) -> Limits:
    least, highest = (None if n is None else min(n, most) for n in (limits.least, limits.most))
    return Limits(least, highest, limits.priority, limits.length)
