"""Missing events: changes that listings have shown and the event stream has not reported."""

from __future__ import annotations

import logging

log = logging.getLogger("mssscheduler")

OVERDUE_S = 10.0
"""A missing event is not expected any more after this time, even if the stream looks open."""


class EventDebt:
    """Distinguishes a broken stream, to be reopened, from one that never reports some kinds of events."""

    # Reopening the latter would go on for ever: an engine may filter otherwise than Docker, or a proxy may
    # keep events back.
    def __init__(self) -> None:
        self.deaf = False
        """Reopening the stream did not help: only listings show changes."""
        self._owed: dict[tuple[str, str], float] = {}
        """Time (monotonic seconds) at which a listing has shown a change, by id and kind of the missing
        event."""
        self._reopened_for: set[str] = set()
        """Kinds of events that caused a reopening, and were not reported since."""
        self._said = False

    def owe(self, id: str, kind: str, now: float) -> None:
        """Notes a change that a listing has shown before the stream."""
        self._owed.setdefault((id, kind), now)  # the first listing counts for the delay

    def told(self, id: str, kind: str) -> None:
        """Notes a reported event."""
        self._owed.pop((id, kind), None)
        self._reopened_for.discard(kind)
        if self.deaf and not self._reopened_for:
            self.deaf = False
            log.info("the event stream reports all changes again")

    @property
    def start_unconfirmed(self) -> bool:
        """True if an event is missing."""
        return self.deaf or bool(self._owed)

    def is_broken(self, now: float, name: str) -> bool:
        """True if the stream should be reopened now, which is up to the caller. `name`: the engine's."""
        overdue = {kind for (_, kind), since in self._owed.items() if now - since >= OVERDUE_S}
        if not overdue:
            return False
        self._owed.clear()
        if not self.deaf and not overdue & self._reopened_for:
            self._reopened_for |= overdue
            return True
        self._reopened_for |= overdue
        self.deaf = True
        if not self._said:
            self._said = True
            log.warning(
                "the event stream of the %s does not report all changes (%s): the containers are listed "
                "every second instead, and an end may be noticed a second late",
                name,
                ", ".join(sorted(overdue)),
            )
        return False

    def clear(self, by_itself: bool) -> None:
        """Drops the missing events: a new stream reports nothing from before it. `by_itself`: the last one
        was not closed by us, so this may be another engine."""
        self._owed.clear()
        if by_itself:
            self._reopened_for.clear()
            self.deaf = False
