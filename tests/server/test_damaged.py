"""A store in which single entries cannot be read: the others count all the same."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.server.domain.journal import now_ms
from microscaling.server.domain.user_config import DEMO
from microscaling.server.domain.users import Users
from microscaling.server.jobs import Jobs
from microscaling.server.storage.history import COARSE, COARSE_PIECE_MS, FULL, History, Series
from microscaling.server.storage.persistence import Persistence
from microscaling.server.storage.store import Chunk, Row, Store, open_store
from microscaling.settings import Settings

GOOD = json.dumps(DEMO)
ROWS: list[tuple[Any, ...]] = [
    ("bad", 1, GOOD, "manual", 0, "{"),
    ("bad", "x", GOOD, "manual", 0, "{}"),
    ("bad", 1, b"\xff", "manual", 0, "{}"),
    ("bad", 1, "{", "manual", 0, "{}"),
    ("bad", 1, "[" * 100_000, "manual", 0, "{}"),
    ("bad", 1, "5", "manual", 0, "{}"),
    ("bad", 1, '"x"', "manual", 0, "{}"),
    ("bad", 1, GOOD, "manual", 0, "[" * 100_000),
    (b"\xff", 1, GOOD, "manual", 0, "{}"),
]


@pytest.fixture
def path(tmp_path: Path) -> str:
    store = open_store(str(tmp_path / "server.db"))
    store.save(Row("good", 1, GOOD, "manual", False, {"priority-1": 3}))
    store.close()
    return store.path


@pytest.fixture
def store(path: str) -> Iterator[Store]:
    opened = open_store(path)
    yield opened
    opened.close()


def write(path: str, row: tuple[Any, ...]) -> None:
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", row)
    db.close()


def loaded(path: str) -> Users:
    users = Users()
    keeper = Persistence(open_store(path), users, Settings(), Jobs())
    try:
        keeper.load()
    finally:
        asyncio.run(keeper.close())
    return users


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_user(path: str, row: tuple[Any, ...], caplog: pytest.LogCaptureFixture) -> None:
    write(path, row)
    users = loaded(path)
    good = users.get("good").wishes
    assert good.plan is not None
    assert (good.mode, good.sliders) == ("manual", {"priority-1": 3})
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "bad" in line or "xff" in line


@pytest.mark.parametrize("sliders", ["[]", "null", '"x"', '{"priority-1": "3"}', '{"priority-1": -1}', "3"])
def test_sliders_that_make_no_sense_are_none(path: str, sliders: str) -> None:
    write(path, ("bad", 1, GOOD, "manual", 0, sliders))
    wishes = loaded(path).get("bad").wishes
    assert wishes.plan is not None
    assert wishes.sliders == {}


PIECES = [
    b"", b"x", Series([1], [2], {"a": [[1], [2]]}).packed(), Series([1], [], {}).packed(),
    Series([1], [2], {"a": [[1], [2], []]}).packed(), Series().packed()[:-3],
]  # fmt: skip


@pytest.mark.parametrize("data", PIECES, ids=range(len(PIECES)))
def test_a_piece_of_history(store: Store, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    now = now_ms()
    hour = now // COARSE_PIECE_MS * COARSE_PIECE_MS
    store.add_history([Chunk("u", FULL, now - 30_000, data), Chunk("u", COARSE, hour, data)])
    history = History(store)
    page = Series([now], [10], {"a": [[1], [2], [3]]})
    history.keep([("u", page)])
    told = json.loads(history.read("u", 0, Series()))
    assert told["full"]["times"] == [now]
    assert told["coarse"]["times"] == [now]
    assert caplog.text.count("cannot be read") <= 1


def test_decisions_and_origins(path: str) -> None:
    with sqlite3.connect(path) as db:
        rows = [
            ("good", 7, 5, "web-1", "a", 1, 2, "why"),
            ("good", "x", 5, "web-1", "a", 1, 2, "why"),
            (b"\xff", 8, 5, "web-1", "a", 1, 2, "why"),
            ("good", 9, 5, "web-1", b"\xff", 1, 2, "why"),
        ]
        db.executemany("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        db.execute('UPDATE origins SET data = \'{"mode": {"by": 1}}\'')
    db.close()
    users = loaded(path)
    good = users.get("good")
    assert [decision.id for decision in good.decisions] == [7]
    assert (good.wishes.mode, good.wishes.origins) == ("manual", {})


def test_a_store_of_an_earlier_version(path: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE decisions")
        db.execute("DROP TABLE origins")
    db.close()
    assert loaded(path).get("good").wishes.mode == "manual"
