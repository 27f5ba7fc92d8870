"""The demo's queues: one table in SQLite, out of which every job is taken once."""

from __future__ import annotations

import sqlite3
import threading
import time

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, taken REAL);
CREATE INDEX IF NOT EXISTS waiting ON jobs (queue) WHERE taken IS NULL;
"""
WAITING = "SELECT count(*) FROM jobs WHERE queue = '{}' AND taken IS NULL"


class Jobs:
    """The table, made if need be, over one connection that threads may share."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA synchronous = OFF")  # nobody's work is lost with these
        self._db.executescript(SCHEMA)

    def put(self, queue: str, count: int) -> None:
        """Adds jobs."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO jobs (queue) VALUES (?)", [(queue,)] * count)
            self._db.execute("COMMIT")

    def take(self, queue: str) -> bool:
        """Takes the oldest job that nobody has taken; False if there is none."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")  # from here on no other process takes one
            oldest = "SELECT min(id) FROM jobs WHERE queue = ? AND taken IS NULL"
            (job,) = self._db.execute(oldest, (queue,)).fetchone()
            self._db.execute("UPDATE jobs SET taken = ? WHERE id = ?", (time.time(), job))
            self._db.execute("COMMIT")
        return job is not None

    def waiting(self, queue: str) -> int:
        """How many nobody has taken yet."""
        with self._lock:
            count: int = self._db.execute(WAITING.format(queue)).fetchone()[0]
        return count

    def taken(self, queue: str) -> int:
        """How many have been taken so far."""
        counted = "SELECT count(taken) FROM jobs WHERE queue = ?"
        with self._lock:
            count: int = self._db.execute(counted, (queue,)).fetchone()[0]
        return count

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()
