"""The history of users: the last hour at full rate, the last day by the minute, in the store.

Only samples that are not written yet are in memory. A piece is a few seconds at full rate, or an hour by
the minute; a crash loses the piece that was being filled.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from microscaling.errors import UNEXPECTED
from microscaling.server.domain.journal import now_ms
from microscaling.server.domain.state import cap_of, sums_of
from microscaling.server.domain.users import User
from microscaling.server.limits import MAX_USERS
from microscaling.server.storage.store import Chunk, Store

log = logging.getLogger("mssserver")

STEP_MS = 500
PIECE_MS = 15_000
FULL_MS = 3600_000
COARSE_STEP_MS = 60_000
COARSE_PIECE_MS = 3600_000
COARSE_MS = 24 * 3600_000
FULL, COARSE = 0, 1
KINDS = ("running", "demand", "metric")

Values = tuple[int, int, int | None]
"""Running containers, demand, and the reading; None: there is none."""


@dataclass(slots=True)
class Series:
    """Samples in a row: time, cap, and the values of each task; None before a task's first sample."""

    times: list[int] = field(default_factory=list)
    caps: list[int] = field(default_factory=list)
    tasks: dict[str, list[list[int | None]]] = field(default_factory=dict)

    def add(self, now: int, cap: int, values: dict[str, Values]) -> None:
        """Adds one sample at `now` (Unix ms)."""
        for app in values.keys() - self.tasks.keys():
            self.tasks[app] = [[None] * len(self.times) for _ in KINDS]
        self.times.append(now)
        self.caps.append(cap)
        for app, columns in self.tasks.items():
            for column, value in zip(columns, values.get(app, (None,) * len(KINDS)), strict=True):
                column.append(value)

    def join(self, other: Series) -> None:
        """Appends the samples of another series."""
        before, count = len(self.times), len(other.times)
        self.times += other.times
        self.caps += other.caps
        for app in other.tasks.keys() - self.tasks.keys():
            self.tasks[app] = [[None] * before for _ in KINDS]
        for app, columns in self.tasks.items():
            more = other.tasks.get(app) or [[None] * count for _ in KINDS]
            for column, values in zip(columns, more, strict=True):
                column += values

    def last(self) -> Series:
        """Returns a series of the last sample alone."""
        tasks = {app: [column[-1:] for column in columns] for app, columns in self.tasks.items()}
        return Series(self.times[-1:], self.caps[-1:], tasks)

    def packed(self) -> bytes:
        """Returns the series as compressed JSON, for the store."""
        return zlib.compress(
            json.dumps([self.times, self.caps, self.tasks], separators=(",", ":")).encode(),
            1,
        )

    @classmethod
    def unpacked(cls, data: bytes) -> Series:
        """Reads the result of `packed`. Raises ValueError if it is not valid."""
        try:
            times, caps, tasks = json.loads(zlib.decompress(data))
            columns = [times, caps, *(column for columns in tasks.values() for column in columns)]
            whole = all(isinstance(column, list) and len(column) == len(times) for column in columns)
            whole = whole and all(len(columns) == len(KINDS) for columns in tasks.values())
        except (zlib.error, *UNEXPECTED) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        if not whole:
            raise ValueError("its columns are not equally long")
        return cls(times, caps, tasks)

    def written(self, step: int) -> str:
        """Returns the series as JSON."""
        # List by list, each of which is quick: the library holds the GIL, and the event loop must not wait.
        tasks = ",".join(
            f"{json.dumps(app)}:{{{_fields(zip(KINDS, columns, strict=True))}}}"
            for app, columns in self.tasks.items()
        )
        lists = _fields([("times", self.times), ("cap", self.caps)])
        return f'{{"step":{step},{lists},"tasks":{{{tasks}}}}}'


class History:
    """Takes samples in the event loop (`sample`, `take`), writes and reads them in the store's thread
    (`keep`, `read`, `forget`).
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._open: dict[str, Series] = {}
        self._known = store.history_users()
        self._damaged: set[str] = set()

    def sample(self, users: Iterable[User], now: int) -> None:
        """Takes one sample of every user with an agent, at `now` (Unix ms)."""
        for user in users:
            if not user.agents:
                continue
            page = self._open.get(user.name) or self._begin(user.name)
            if page is not None:
                values = {app: (of.running, of.demand, of.reading) for app, of in sums_of(user).items()}
                page.add(now, cap_of(user) or 0, values)

    def _begin(self, name: str) -> Series | None:
        """Starts a piece for a user; returns None for one of too many names."""
        # Agents can invent names without end, and their history would fill the disk.
        if len(self._known) >= 2 * MAX_USERS and name not in self._known:
            return None
        self._known.add(name)
        self._open[name] = Series()
        return self._open[name]

    def knows(self, name: str) -> bool:
        """Whether there is a history of that user, which is so for a bounded number of names."""
        return name in self._known

    def take(self, now: int, everything: bool = False) -> list[tuple[str, Series]]:
        """Removes and returns the pieces that are full, all of them with `everything`."""
        full = [
            name
            for name, page in self._open.items()
            if everything or _number(name, page.times[0]) != _number(name, now)
        ]
        return [(name, self._open.pop(name)) for name in full]

    def keep(self, pages: list[tuple[str, Series]]) -> None:
        """Writes pieces, and one sample a minute to the coarse pieces. Raises StoreError."""
        pieces: list[Chunk] = []
        for name, page in pages:
            pieces.append(Chunk(name, FULL, page.times[0], page.packed()))
            hour = page.times[-1] // COARSE_PIECE_MS * COARSE_PIECE_MS
            before = self.store.last_piece(name, COARSE, hour)
            coarse = self._read(name, before) if before else Series()
            # A sample may come a little early, hence 0.9.
            if not coarse.times or page.times[-1] - coarse.times[-1] >= COARSE_STEP_MS * 0.9:
                coarse.join(page.last())
                pieces.append(Chunk(name, COARSE, hour, coarse.packed()))
        if pieces:
            self.store.add_history(pieces)

    def forget(self, now: int) -> bool:
        """Deletes some of the pieces that are too old. Returns whether there may be more."""
        # Pieces are dropped by their begin, so the length of one is added: its end may still count.
        more = self.store.drop_history(FULL, now - FULL_MS - PIECE_MS)
        return self.store.drop_history(COARSE, now - COARSE_MS - COARSE_PIECE_MS) or more

    def reread_names(self) -> None:
        """Reads the names with a history from the store, after a deletion."""
        self._known = self.store.history_users() | self._open.keys()

    def open_page(self, name: str) -> Series:
        """Returns a copy of the samples that are not written yet."""
        copied = Series()
        if name in self._open:
            copied.join(self._open[name])
        return copied

    def read(self, name: str, since: int, unwritten: Series) -> str:
        """Returns the history of a user from `since` (Unix ms) on as JSON, in the form of docs/server.md."""
        now = now_ms()
        full = self._joined(name, FULL, max(since, now - FULL_MS), PIECE_MS)
        full.join(unwritten)
        coarse = self._joined(name, COARSE, max(since, now - COARSE_MS), COARSE_PIECE_MS)
        shown = f'"full":{full.written(STEP_MS)},"coarse":{coarse.written(COARSE_STEP_MS)}'
        return f'{{"now":{now},{shown}}}'

    def _read(self, name: str, data: bytes) -> Series:
        """Reads a piece; one that is damaged is a gap, and logged once per user."""
        try:
            return Series.unpacked(data)
        except ValueError as error:
            if name not in self._damaged and len(self._damaged) < MAX_USERS:
                self._damaged.add(name)
                log.error("a piece of the history of %s cannot be read, and is left out: %s", name, error)
            return Series()

    def _joined(self, name: str, level: int, since: int, longest: int) -> Series:
        joined = Series()
        # A piece that began earlier may reach into the time.
        for piece in self.store.history(name, level, since - longest):
            joined.join(self._read(name, piece.data))
        return _cut(joined, since)


def _number(name: str, when: int) -> int:
    """Returns the number of the piece with the sample at `when` (Unix ms)."""
    # Shifted by the name: pieces of different users end at different times, which spreads the writing.
    return (when + hash(name) % PIECE_MS) // PIECE_MS


def _fields(fields: Iterable[tuple[str, Sequence[int | None]]]) -> str:
    return ",".join(f'"{name}":{json.dumps(values, separators=(",", ":"))}' for name, values in fields)


def _cut(page: Series, since: int) -> Series:
    """Returns the samples from `since` (Unix ms) on."""
    first = next((i for i, when in enumerate(page.times) if when >= since), len(page.times))
    tasks: dict[str, Any] = {
        app: [column[first:] for column in columns] for app, columns in page.tasks.items()
    }
    return Series(page.times[first:], page.caps[first:], tasks)
