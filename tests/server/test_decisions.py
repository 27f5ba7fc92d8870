"""The decisions that the store keeps for pages."""

from __future__ import annotations

import asyncio
from pathlib import Path

from microscaling.server.domain.journal import Decision, now_ms
from microscaling.server.domain.users import Users
from microscaling.server.jobs import Jobs
from microscaling.server.storage.persistence import Persistence
from microscaling.server.storage.store import open_store
from microscaling.settings import Settings


def test_the_first_decisions_are_kept_though_they_come_before_the_history(tmp_path: Path) -> None:
    path = str(tmp_path / "server.db")
    users = Users()
    keeper = Persistence(open_store(path), users, Settings(), Jobs())
    for number, name in enumerate(("known", "new", "never"), 1):
        users.journal.to_save(name, Decision(number, now_ms(), None, "", "a", 0, 1, "first"))
    keeper.history._known.add("known")
    keeper._decisions()()
    assert [row[0] for row in keeper.store.decisions()] == ["known"]
    keeper.history._known.add("new")
    keeper._decisions()()
    keeper._decisions()()
    asyncio.run(keeper.close())
    store = open_store(path)
    assert sorted(row[0] for row in store.decisions()) == ["known", "new"]
    store.close()
