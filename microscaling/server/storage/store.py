"""Settings and history of users in one SQLite file. Each change is one transaction, which a crash later
does not undo.

All calls are made from one thread at a time; none but `open_store` may come from the event loop.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microscaling.errors import ConfigError, MicroscalingError

log = logging.getLogger("mssserver")

SCHEMA = 1
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE users (
    name TEXT PRIMARY KEY, version INTEGER NOT NULL, config TEXT, mode TEXT NOT NULL,
    paused INTEGER NOT NULL, sliders TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE history (
    user TEXT NOT NULL, level INTEGER NOT NULL, start INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (user, level, start)
) WITHOUT ROWID;
CREATE INDEX history_age ON history (level, start);
"""
# Created if they are missing, and not a new SCHEMA: an earlier version of the server leaves them alone.
ADDED = """
CREATE TABLE IF NOT EXISTS decisions (
    user TEXT NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL, name TEXT NOT NULL, app TEXT NOT NULL,
    before INTEGER NOT NULL, after INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (user, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS origins (user TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
"""
BUSY_S = 1.0
MAX_DELETED = 2000
"""Pieces of history that one call deletes, so that other work does not wait long."""


class StoreError(MicroscalingError):
    """The store cannot be written, now or any more; the data in it are unchanged."""


@dataclass(frozen=True)
class Row:
    """The stored settings of one user; the config as JSON, empty if there is none."""

    name: str
    version: int
    config: str
    mode: str
    paused: bool
    sliders: dict[str, int]
    origins: str = ""
    """The last change of each setting, as JSON."""


@dataclass(frozen=True)
class Chunk:
    """A piece of the history of one user: `level` 0 is at full rate; `start` in Unix milliseconds."""

    user: str
    level: int
    start: int
    data: bytes


def default_path(environ: Mapping[str, str]) -> str:
    """Returns the path of the store without MSS_SERVER_STORE."""
    base = environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "microscaling", "server.db")


def _row(name: Any, version: Any, config: Any, mode: Any, paused: Any, sliders: Any, origins: Any) -> Row:
    """Checks a row of the table. Invalid sliders are left out. Raises ValueError, TypeError or
    RecursionError."""
    if not (isinstance(name, str) and isinstance(version, int) and isinstance(config or "", str)):
        raise TypeError("name, version or configuration are of another type")
    places = json.loads(sliders)
    good = places.items() if isinstance(places, dict) else ()
    kept = {app: place for app, place in good if type(place) is int and place >= 0}
    told = origins if isinstance(origins, str) else ""
    return Row(name, version, config or "", str(mode), bool(paused), kept, told)


def open_store(path: str) -> Store:
    """Opens or creates the store. Raises ConfigError if that fails, for example because another process has
    it open."""
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite itself would create it readable for others, and it holds the key that signs cookies.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return Store(path)
    except (OSError, sqlite3.Error, ValueError) as error:
        text = getattr(error, "strerror", "") or str(error) or type(error).__name__
        if "locked" in text:
            text = "another process has it open: is there a second server?"
        raise ConfigError(f"MSS_SERVER_STORE: {path} cannot be used: {text}") from None


class Store:
    """The open file, which no second process can open. `new`: it has just been created."""

    def __init__(self, path: str) -> None:
        self.path = path
        # Opened by the main thread, and used by that of the store; transactions are explicit.
        self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self.new = self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> bool:
        # The first write takes the lock for good, so that a second server fails here.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        # With NORMAL, a power failure could undo the last changes.
        self._db.execute("PRAGMA synchronous = FULL")
        # Without a limit the journal keeps the largest size that it ever had.
        self._db.execute("PRAGMA journal_size_limit = 16777216")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA):
                raise ValueError("it is of a newer version of this program")
            if not version:
                # `executescript` would commit the transaction first.
                for statement in TABLES.split(";")[:-1]:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA}")
                self._db.execute("INSERT INTO meta VALUES ('secret', ?)", (secrets.token_hex(32),))
            for statement in ADDED.split(";")[:-1]:
                self._db.execute(statement)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        return not version

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Makes the statements inside one transaction. Raises StoreError."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # some errors, a full disk for example, have ended it already
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"cannot write {self.path}: {error}") from None

    def secret(self) -> str:
        """Returns the random key that signs cookies; it is created with the store."""
        return str(self._db.execute("SELECT value FROM meta WHERE key = 'secret'").fetchone()[0])

    def users(self) -> list[Row]:
        """Returns the stored settings of all users. Unreadable ones are logged and left out."""
        rows = self._db.execute(
            "SELECT name, version, config, mode, paused, sliders, data "
            "FROM users LEFT JOIN origins ON user = name ORDER BY name",
        )
        found = []
        for row in rows:
            try:
                found.append(_row(*row))
            except (ValueError, TypeError, RecursionError) as error:
                log.error(
                    "the stored settings of the site %.40r cannot be read, and stay as they are: %s",
                    row[0],
                    error,
                )
        return found

    def save(self, row: Row) -> None:
        """Saves a row in place of the user's old one. Raises StoreError; then the old one stays."""
        values = (row.name, row.version, row.config, row.mode, int(row.paused), json.dumps(row.sliders))
        with self._change() as db:
            db.execute("INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?, ?, ?)", values)
            db.execute("INSERT OR REPLACE INTO origins VALUES (?, ?)", (row.name, row.origins))

    def delete(self, name: str) -> None:
        """Deletes the settings of a user; its history stays until it is too old. Raises StoreError."""
        with self._change() as db:
            db.execute("DELETE FROM users WHERE name = ?", (name,))
            db.execute("DELETE FROM origins WHERE user = ?", (name,))

    def add_decisions(self, rows: Iterable[tuple[Any, ...]], oldest: Mapping[str, int]) -> None:
        """Saves decisions as rows of their table, and deletes those of a user that are older than its
        `oldest` id. Raises StoreError."""
        # Replaced, as a crash may have lost the last ones, so that their ids are given again.
        with self._change() as db:
            db.executemany("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            db.executemany("DELETE FROM decisions WHERE user = ? AND id < ?", oldest.items())

    def decisions(self) -> Iterator[tuple[Any, ...]]:
        """Yields the saved decisions by user, oldest first."""
        yield from self._db.execute(
            "SELECT user, id, at, name, app, before, after, reason FROM decisions ORDER BY user, id"
        )

    def drop_decisions(self, before: int) -> None:
        """Deletes decisions from before that time (Unix ms) of users without settings. Raises StoreError."""
        # Agents can invent names without end.
        with self._change() as db:
            db.execute(
                "DELETE FROM decisions WHERE at < ? AND user NOT IN (SELECT name FROM users)", (before,)
            )

    def add_history(self, pieces: Iterable[Chunk]) -> None:
        """Saves pieces; one of the same user, level and start is replaced. Raises StoreError."""
        rows = [(piece.user, piece.level, piece.start, piece.data) for piece in pieces]
        with self._change() as db:
            db.executemany("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)", rows)

    def history(self, user: str, level: int, since: int) -> list[Chunk]:
        """Returns the pieces that begin at `since` (Unix ms) or later, oldest first."""
        rows = self._db.execute(
            "SELECT start, data FROM history WHERE user = ? AND level = ? AND start >= ? ORDER BY start",
            (user, level, since),
        )
        return [Chunk(user, level, start, data) for start, data in rows]

    def last_piece(self, user: str, level: int, start: int) -> bytes:
        """Returns the data of one piece; empty if there is none."""
        row = self._db.execute(
            "SELECT data FROM history WHERE user = ? AND level = ? AND start = ?",
            (user, level, start),
        ).fetchone()
        return bytes(row[0]) if row else b""

    def drop_history(self, level: int, before: int) -> bool:
        """Deletes up to MAX_DELETED pieces that began before (Unix ms). Returns whether there may be more."""
        with self._change() as db:
            cursor = db.execute(
                "DELETE FROM history WHERE (user, level, start) IN "
                "(SELECT user, level, start FROM history WHERE level = ? AND start < ? LIMIT ?)",
                (level, before, MAX_DELETED),
            )
            return cursor.rowcount >= MAX_DELETED

    def history_users(self) -> set[str]:
        """Returns the names of the users with a history."""
        return {name for (name,) in self._db.execute("SELECT DISTINCT user FROM history")}
