"""What was: how much of it is kept, and that it is right."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling.server.domain.reports import Report, TaskReport
from microscaling.server.domain.users import User, Users
from microscaling.server.storage.history import COARSE_MS, COARSE_STEP_MS, FULL_MS, STEP_MS, History, Series
from microscaling.server.storage.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(str(tmp_path / "server.db"))
    yield store
    store.close()


def one(users: Users, name: str) -> User:
    """A user with an agent."""
    agent = users.connect(lambda demand: None, lambda: None)
    users.hear(agent, Report(name, {"a": TaskReport(1, 2, 3)}), 0.0)
    return users.users[name]


def pass_time(history: History, user: User, begin: int, end: int, step: int = STEP_MS) -> None:
    """Samples `step` apart; what runs is the number of the sample."""
    for number, now in enumerate(range(begin, end, step)):
        next(iter(user.agents.values())).tasks = {"a": TaskReport(number, number + 1, number + 2)}
        history.sample([user], now)
        history.keep(history.take(now))


def test_an_hour_at_full_rate_and_a_day_by_the_minute(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    history, user, end = History(store), one(Users(), "u"), 10 * COARSE_MS
    monkeypatch.setattr("microscaling.server.storage.history.now_ms", lambda: end)
    pass_time(history, user, end - COARSE_MS - 2 * FULL_MS, end - FULL_MS, COARSE_STEP_MS // 2)
    pass_time(history, user, end - FULL_MS, end)
    while history.forget(end):
        pass
    shown = json.loads(history.read("u", 0, history.open_page("u")))
    assert len(shown["full"]["times"]) == FULL_MS / STEP_MS
    assert shown["full"]["tasks"]["a"]["running"] == list(range(FULL_MS // STEP_MS))
    coarse = shown["coarse"]["times"]
    assert len(coarse) == pytest.approx(COARSE_MS / COARSE_STEP_MS, rel=0.05)
    assert min(coarse) >= end - COARSE_MS
    last = json.loads(history.read("u", end - 60_000, history.open_page("u")))
    assert len(last["full"]["times"]) == 120
    (pages,) = store._db.execute("SELECT count(*) FROM history").fetchone()
    assert pages < 300


def test_a_task_that_comes_and_goes(store: Store) -> None:
    page = Series()
    page.add(1, 10, {"a": (1, 2, 3)})
    page.add(2, 10, {"b": (4, 5, 6)})
    later = Series()
    later.add(3, 11, {"a": (7, 8, 9)})
    page.join(Series.unpacked(later.packed()))
    assert json.loads(page.written(500)) == {
        "step": 500,
        "times": [1, 2, 3],
        "cap": [10, 10, 11],
        "tasks": {
            "a": {"running": [1, None, 7], "demand": [2, None, 8], "metric": [3, None, 9]},
            "b": {"running": [None, 4, None], "demand": [None, 5, None], "metric": [None, 6, None]},
        },
    }


def test_nothing_is_noted_of_users_without_agents(store: Store) -> None:
    history = History(store)
    history.sample([Users().get("u")], 1000)
    assert history.take(10**9, everything=True) == []


def test_memory_is_bounded(store: Store) -> None:
    history, users = History(store), Users()
    everyone = [one(users, f"u{i}") for i in range(20)]

    def run(begin: int, end: int) -> int:
        for now in range(begin, end, STEP_MS):
            history.sample(everyone, now)
            history.keep(history.take(now))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = run(0, 120_000)
        late = run(120_000, 600_000)
    finally:
        tracemalloc.stop()
    assert late < early + 100_000


def test_names_that_are_made_up_do_not_fill_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microscaling.server.storage.history.MAX_USERS", 2)
    history, users = History(store), Users()
    for i in range(10):
        history.sample([one(users, f"u{i}")], 1000)
    history.keep(history.take(10**6))
    assert len(store.history_users()) == 4
