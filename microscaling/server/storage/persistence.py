"""The store's access from the event loop: all work on the file is done in one thread of its own."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from microscaling.errors import UNEXPECTED, ConfigError
from microscaling.server.domain import modes
from microscaling.server.domain.journal import Decision, now_ms
from microscaling.server.domain.modes import STEP_S
from microscaling.server.domain.reports import is_user
from microscaling.server.domain.user_config import DEMO, read_plan
from microscaling.server.domain.users import Origin, User, Users, UserSettings
from microscaling.server.jobs import Jobs
from microscaling.server.limits import Refused
from microscaling.server.storage.history import COARSE_MS, STEP_MS, History
from microscaling.server.storage.store import Row, Store, StoreError
from microscaling.settings import Settings
from microscaling.utils.failure_log import FailureLog

log = logging.getLogger("mssserver")

T = TypeVar("T")

WRITE_S = 2.0
PORTION = 25
FORGET_S = 60.0


class Conflict(Exception):
    """The settings have been changed elsewhere since they were read."""


class Persistence:
    """Loads and saves the settings of users, and writes their history. Settings take effect only after they
    have been saved.
    """

    def __init__(self, store: Store, users: Users, settings: Settings, jobs: Jobs) -> None:
        self.store = store
        self.users = users
        self.settings = settings
        self.jobs = jobs
        self.history = History(store)
        self.ready = False
        self._thread = ThreadPoolExecutor(1, "mss-store")
        self._lock = asyncio.Lock()
        self._failure_log = FailureLog()

    def load(self) -> None:
        """Puts the stored settings into effect. Unusable ones are logged, and stay in the store."""
        if self.store.new and is_user(self.settings.user_id):
            self.store.save(Row(self.settings.user_id, 1, json.dumps(DEMO), modes.RANDOM, False, {}))
        for name, decisions in _by_user(self.store.decisions()):
            self.users.journal.put_away(name, decisions)
        for row in self.store.users():
            try:
                plan = read_plan(json.loads(row.config), self.settings) if row.config else None
                user = self.users.keep(self.users.get(row.name))
            except (ConfigError, Refused, *UNEXPECTED) as error:
                log.error("the configuration of %s in the store cannot be used: %s", row.name, error)
                continue
            mode = row.mode if row.mode in modes.MODES and plan else modes.OFF
            origins = _origins(row.origins)
            user.set(UserSettings(row.version, plan, mode, row.paused, row.sliders, origins))

    def start(self) -> None:
        """Starts the jobs, in the event loop."""
        self.jobs.start(self._sample, self._write, self._wander)
        self.ready = True

    async def close(self) -> None:
        """Writes the rest of the history, and closes the store."""
        self.ready = False
        await self.jobs.close()
        rest = self.history.take(now_ms(), everything=True)
        try:
            await self._run(lambda: self.history.keep(rest))
            await self._run(self._decisions())
        except StoreError as error:
            log.error("%s", error)
        self._thread.shutdown()
        self.store.close()

    async def save(
        self, name: str, change: Callable[[UserSettings], UserSettings], by: str = ""
    ) -> UserSettings:
        """Saves changed settings of a user, and then puts them into effect. `by`: the origin of the change,
        for people.

        Raises StoreError, Refused if there are too many users, and the errors of `change`; then nothing has
        changed.
        """
        # The lock makes reading, changing and saving one step, so that no change of another page is lost.
        async with self._lock:
            user = self.users.get(name)
            wishes = change(user.wishes)
            self.users.keep(user)
            row = Row(
                name,
                wishes.version,
                wishes.plan.text if wishes.plan else "",
                wishes.mode,
                wishes.paused,
                wishes.sliders,
                json.dumps({what: dataclasses.asdict(origin) for what, origin in wishes.origins.items()}),
            )
            try:
                await self._run(lambda: self.store.save(row))
            except BaseException:
                self.users.forget_idle(user)
                raise
            self.users.keep(user).set(wishes, by)
            return wishes

    async def delete(self, user: User) -> None:
        """Forgets a user's configuration and mode. Raises StoreError."""
        async with self._lock:
            await self._run(lambda: self.store.delete(user.name))
            user.set(UserSettings())
            self.users.forget_idle(user)

    async def past(self, name: str, since: int) -> str:
        """Returns a user's history from `since` (Unix ms) on, as JSON."""
        unwritten = self.history.open_page(name)
        return await self._run(lambda: self.history.read(name, since, unwritten))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _sample(self) -> None:
        """Takes samples twice a second, by the clock; a missed one is skipped."""
        while True:
            # A little after the step, because a timer may go off early and would hit the last step again.
            now = now_ms()
            due = (now // STEP_MS + 1) * STEP_MS + (STEP_MS // 10)
            await asyncio.sleep((due - now) / 1000)
            async for some in self._in_portions():
                self.history.sample(some, now_ms())

    async def _wander(self) -> None:
        chance = random.Random()  # nosec B311  # moves a demonstration
        while True:
            await asyncio.sleep(STEP_S)
            async for some in self._in_portions():
                for user in some:
                    user.step(chance)

    async def _in_portions(self) -> AsyncIterator[list[User]]:
        """Yields all users, PORTION at a time."""
        # Between the portions the event loop serves agents, which would else wait for all users.
        everyone = list(self.users.users.values())
        for first in range(0, len(everyone), PORTION):
            yield everyone[first : first + PORTION]
            await asyncio.sleep(0)

    def _decisions(self) -> Callable[[], None]:
        """Returns the work of saving the decisions since the last call."""
        # Copied in the event loop, as the store's thread must not see a list that grows.
        taken = self.users.journal.take_unsaved()
        unsaved = [(name, each) for name, each in taken if self.history.knows(name)]
        # The history knows a user from its first sample on, and the first decisions come before that.
        for name, each in taken:
            if not self.history.knows(name):
                self.users.journal.to_save(name, each)
        there = {name: self.users.get(name).decisions for name, _ in unsaved}
        oldest = {name: decisions[0].id for name, decisions in there.items() if decisions}
        rows = [
            (name, each.id, each.at, each.name, each.app, each.before, each.after, each.reason)
            for name, each in unsaved
        ]
        return lambda: self.store.add_decisions(rows, oldest) if rows else None

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        cleaned = loop.time()
        while True:
            await asyncio.sleep(WRITE_S)
            pages = self.history.take(now_ms())
            try:
                await self._run(lambda: self.history.keep(pages))  # noqa: B023 - awaited at once
                await self._run(self._decisions())
                if loop.time() - cleaned >= FORGET_S and not await self._run(
                    lambda: self.history.forget(now_ms()),
                ):
                    cleaned = loop.time()
                    await self._run(self.history.reread_names)
                    await self._run(lambda: self.store.drop_decisions(now_ms() - COARSE_MS))
            except StoreError as error:
                if self._failure_log.failed(loop.time()):
                    log.error("history is being lost: %s", error)
            else:
                if self._failure_log.recovered():
                    log.info("history is being kept again")


def _origins(text: str) -> dict[str, Origin]:
    """Reads the origins of a user's settings; they are for people only, so damaged ones are left out."""
    try:
        return {
            str(what): Origin(str(o["by"]), str(o["address"]), int(o["at"]))
            for what, o in json.loads(text).items()
        }
    except UNEXPECTED:
        return {}


def _by_user(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, list[Decision]]]:
    """Yields the saved decisions of each user; damaged rows are left out."""
    for user, group in itertools.groupby(rows, key=lambda row: row[0]):
        found = [
            Decision(id, at, None, name, app, before, after, reason)
            for _, id, at, name, app, before, after, reason in group
            if all(type(n) is int for n in (id, at, before, after))
            and all(isinstance(text, str) for text in (name, app, reason))
        ]
        if isinstance(user, str):
            yield user, found
