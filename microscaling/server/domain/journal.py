"""The last decisions for each user, as pages show them. Nothing here does I/O."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from microscaling.server.limits import MAX_USERS

KEPT = 200
"""Decisions of each user."""
MAX_UNSAVED = 20_000
"""Decisions that wait for the store; if it cannot be written for long, the oldest are not kept."""


def now_ms() -> int:
    """Returns Unix milliseconds, for people to read; never for intervals."""
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Decision:
    """One change of demand."""

    id: int
    at: int
    agent: int | None
    """The number of the agent's connection; None: of no agent, or from before a restart of the server."""
    name: str
    """The agent's name; empty if it has none."""
    app: str
    before: int
    after: int
    reason: str


class Journal:
    """Numbers decisions, and keeps the last ones of users that are not in memory now."""

    def __init__(self) -> None:
        self._next = 1
        self._unsaved: deque[tuple[str, Decision]] = deque(maxlen=MAX_UNSAVED)
        self._away: OrderedDict[str, list[Decision]] = OrderedDict()

    def of(self, name: str) -> deque[Decision]:
        """Returns the decisions of a user that comes into memory."""
        return deque(self._away.get(name, ()), maxlen=KEPT)

    def number(self) -> int:
        """Returns the id of the next decision."""
        self._next += 1
        return self._next - 1

    def to_save(self, user: str, decision: Decision) -> None:
        """Notes a decision for the store."""
        self._unsaved.append((user, decision))

    def put_away(self, name: str, decisions: Iterable[Decision]) -> None:
        """Keeps the decisions of a user that leaves the memory, or that the store has."""
        found = list(decisions)[-KEPT:]
        if not found:
            return
        # The numbers go on where the store ends, so that a page does not take new decisions for known ones.
        self._next = max(self._next, found[-1].id + 1)
        self._away[name] = found
        self._away.move_to_end(name)
        while len(self._away) > MAX_USERS:
            self._away.popitem(last=False)

    def take_unsaved(self) -> list[tuple[str, Decision]]:
        """Removes and returns the decisions that are not in the store yet."""
        taken = list(self._unsaved)
        self._unsaved.clear()
        return taken
