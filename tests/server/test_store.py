"""What was saved is there, whole, whatever has happened meanwhile."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from microscaling.errors import ConfigError
from microscaling.server.storage.store import Chunk, Row, Store, StoreError, open_store

ROUNDS = 100
LONG = 400_000
"""Characters of a configuration: many pages of the file, so that a save takes a while."""


def whole(version: int) -> str:
    """A configuration that shows whether it is all there."""
    seed = hashlib.sha256(str(version).encode()).hexdigest()
    return (seed * (LONG // len(seed)))[:LONG]


def save_for_ever(path: str, acknowledge: Connection) -> None:
    store = open_store(path)
    version = store.users()[0].version if store.users() else 0
    while True:
        version += 1
        store.save(Row("user", version, whole(version), "manual", False, {"a": version}))
        acknowledge.send(version)


def test_killed_while_it_saves_it_has_the_old_or_the_new(tmp_path: Path) -> None:
    path, chance = str(tmp_path / "server.db"), random.Random(4)
    fork = multiprocessing.get_context("fork")
    acknowledged = caught = 0
    for _ in range(ROUNDS):
        hears, says = fork.Pipe(duplex=False)
        process = fork.Process(target=save_for_ever, args=(path, says))
        process.start()
        says.close()
        acknowledged = hears.recv()  # it is at work
        time.sleep(chance.uniform(0, 0.02))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        try:
            while True:
                acknowledged = hears.recv()
        except EOFError:
            hears.close()
        process.close()
        store = open_store(path)
        (row,) = store.users()
        store.close()
        assert row.version in (acknowledged, acknowledged + 1)
        assert row == Row("user", row.version, whole(row.version), "manual", False, {"a": row.version})
        caught += row.version == acknowledged
    assert caught  # it was killed before it had saved, too


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "server.db"))
    store.save(Row("user", 1, "old", "off", False, {}))
    store._db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StoreError, match="full"):
        store.save(Row("user", 2, "x" * 10**6, "off", False, {}))
    assert store.users() == [Row("user", 1, "old", "off", False, {})]
    store.save(Row("user", 2, "new", "off", False, {}))
    assert store.users()[0].config == "new"
    store.close()


def test_only_one_at_a_time(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "server.db"))
    with pytest.raises(ConfigError, match="is there a second server"):
        open_store(store.path)
    store.close()
    open_store(store.path).close()


def garbage(path: Path) -> None:
    path.write_text("this is no database, and long enough to look at" * 100)


def folder(path: Path) -> None:
    path.mkdir()


def newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [(garbage, "not a database"), (folder, "Is a directory"), (newer, "newer version")],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "server.db"
    make(path)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=rf"MSS_SERVER_STORE: .*{said}"):
        open_store(str(path))


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "server.db"
    open_store(str(path)).close()
    assert [oct(p.stat().st_mode & 0o777) for p in (path, path.parent)] == ["0o600", "0o700"]


def test_secret_is_made_once(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "server.db"))
    assert store.new
    secret = store.secret()
    store.close()
    store = Store(store.path)
    assert not store.new
    assert store.secret() == secret
    assert len(secret) == 64
    store.close()


def test_history_is_dropped_by_age_and_level(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "server.db"))
    store.add_history([Chunk("a", level, start, b"x") for level in (0, 1) for start in (10, 20, 30)])
    assert store.drop_history(0, 25) is False
    assert [piece.start for piece in store.history("a", 0, 0)] == [30]
    assert [piece.start for piece in store.history("a", 1, 15)] == [20, 30]
    store.close()
