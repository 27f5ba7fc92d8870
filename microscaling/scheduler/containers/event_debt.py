"""What an event stream owes: changes that listings have shown, and it has not told of."""

from __future__ import annotations

import logging

log = logging.getLogger("mssscheduler")

OVERDUE_S = 10.0
"""An event that is owed for longer than this does not come any more, even if the stream looks open."""


class EventDebt:
    """Tells a stream that has broken from one that never tells something, and finds out when it does again.

    The former is opened anew. The latter is not, as that would go on for ever: an engine that filters
    otherwise than Docker, or a proxy that keeps back what it should pass on.
    """

    def __init__(self) -> None:
        self.deaf = False
        """Opening it anew was no help: only listings tell what happens."""
        self._owed: dict[tuple[str, str], float] = {}
        """(id, kind of event), and when a listing showed that it is owed, monotonic seconds."""
        self._reopened_for: set[str] = set()
        """Kinds of events for which the stream was opened anew, and that it has not told of since."""
        self._said = False

    def owe(self, id: str, kind: str, now: float) -> None:
        """A listing has shown a change before the stream has told of it."""
        self._owed.setdefault((id, kind), now)

    def told(self, id: str, kind: str) -> None:
        """The stream has told of something."""
        self._owed.pop((id, kind), None)
        self._reopened_for.discard(kind)
        if self.deaf and not self._reopened_for:
            self.deaf = False
            log.info("the event stream tells what happens again")

    @property
    def start_unconfirmed(self) -> bool:
        """Something is owed."""
        return self.deaf or bool(self._owed)

    def is_broken(self, now: float, name: str) -> bool:
        """Whether the stream is to be opened anew, which the caller then does. `name`: the engine's."""
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
                "the event stream of the %s does not tell all that happens (%s): what runs is listed every "
                "second instead, and an end may be noticed a second late",
                name,
                ", ".join(sorted(overdue)),
            )
        return False

    def clear(self, by_itself: bool) -> None:
        """A new stream owes nothing of what was before it. `by_itself`: the last one was not ended by us, so
        the next one may be another."""
        self._owed.clear()
        if by_itself:
            self._reopened_for.clear()
            self.deaf = False
