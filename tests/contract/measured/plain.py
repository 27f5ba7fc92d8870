"""Metrics without a server."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from microscaling.metric.base import Metric
from microscaling.metric.exec import ExecMetric
from microscaling.metric.null import NullMetric
from microscaling.metric.sql import SQLMetric
from microscaling.metric.toy import ToyMetric
from tests.contract.measured.base import Measured


class Toy(Measured):
    def metric(self) -> Metric:
        self.toy = ToyMetric()
        return self.toy

    def set(self, count: int) -> None:
        self.toy.current = count


class Null(Measured):
    def metric(self) -> Metric:
        return NullMetric()

    def set(self, count: int) -> None: ...


class SQL(Measured):
    """A file: what can happen to it is of another kind."""

    type_name = "SQL"

    faults = dict.fromkeys(["a lock that stays", "garbage", "cut off", "no file", "no table", "a folder"])

    def metric(self) -> Metric:
        return SQLMetric(f"sqlite:///{self.path}", "SELECT count(*) FROM jobs")

    @property
    def path(self) -> Path:
        return self.folder / "queue.db"

    def set(self, count: int) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS jobs (id)")
            db.execute("DELETE FROM jobs")
            db.executemany("INSERT INTO jobs VALUES (?)", [(i,) for i in range(count)])

    @contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        good = self.path.read_bytes()
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            if fault == "a lock that stays":
                db.execute("BEGIN EXCLUSIVE")
            else:
                self._spoil(fault, good)
            yield
        if self.path.is_dir():
            self.path.rmdir()
        self.path.write_bytes(good)

    def _spoil(self, fault: str, good: bytes) -> None:
        if fault in ("no file", "a folder"):
            self.path.unlink()
        if fault == "a folder":
            self.path.mkdir()
        texts = {"garbage": b"\x00\xff" * 4096, "cut off": good[: len(good) // 2], "no table": b""}
        if fault in texts:
            self.path.write_bytes(texts[fault])


COMMANDS = {
    "hangs": "exec sleep 600",
    "leaves a child that keeps its output": "sleep 600 & echo 7",
    "drips": "while :; do printf 1; sleep 0.05; done",
    "says nothing": "true",
    "fails after a number": "echo 7; exit 3",
    "is killed": "echo 7; kill -9 $$",
    "talks garbage": "printf '\\377\\000'",
    "talks without end": "yes 7",
    "two numbers": "echo 7; echo 8",
    "a word that is not known": 'echo \'{"waiting": 7, "runing": 2}\'',
    "half of an object": "echo '{\"waiting\": 7'",
    "no number": "echo '{\"running\": 7}'",
    "below zero": "echo -1",
}


class Exec(Measured):
    """A command that a test replaces by another one."""

    type_name = "Exec"

    faults = COMMANDS

    def metric(self) -> Metric:
        return ExecMetric(f"sh {self.path}")

    @property
    def path(self) -> Path:
        return self.folder / "count.sh"

    def set(self, count: int) -> None:
        self.path.write_text(f"echo {count}")

    @contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        good = self.path.read_text()
        self.path.write_text(self.faults[fault])
        yield
        self.path.write_text(good)


KINDS = (
    Toy,
    Null,
    SQL,
    Exec,
)
