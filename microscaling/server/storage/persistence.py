"""The store's access from the event loop: all work on the file is done in one thread of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from microscaling.errors import UNEXPECTED, ConfigError
from microscaling.server.domain import modes
from microscaling.server.domain.modes import STEP_S
from microscaling.server.domain.reports import is_user
from microscaling.server.domain.user_config import DEMO, read_plan
from microscaling.server.domain.users import User, Users, UserSettings, now_ms
from microscaling.server.jobs import Jobs
from microscaling.server.limits import Refused
from microscaling.server.storage.history import STEP_MS, History
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
        for row in self.store.users():
            try:
                plan = read_plan(json.loads(row.config), self.settings) if row.config else None
                user = self.users.keep(self.users.get(row.name))
            except (ConfigError, Refused, *UNEXPECTED) as error:
                log.error("the configuration of %s in the store cannot be used: %s", row.name, error)
                continue
            mode = row.mode if row.mode in modes.MODES and plan else modes.OFF
            user.set(UserSettings(row.version, plan, mode, row.paused, row.sliders))

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
        except StoreError as error:
            log.error("%s", error)
        self._thread.shutdown()
        self.store.close()

    async def save(self, name: str, change: Callable[[UserSettings], UserSettings]) -> UserSettings:
        """Saves changed settings of a user, and then puts them into effect.

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
            )
            try:
                await self._run(lambda: self.store.save(row))
            except BaseException:
                self.users.forget_idle(user)
                raise
            self.users.keep(user).set(wishes)
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

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        cleaned = loop.time()
        while True:
            await asyncio.sleep(WRITE_S)
            pages = self.history.take(now_ms())
            try:
                await self._run(lambda: self.history.keep(pages))  # noqa: B023 - awaited at once
                if loop.time() - cleaned >= FORGET_S and not await self._run(
                    lambda: self.history.forget(now_ms()),
                ):
                    cleaned = loop.time()
                    await self._run(self.history.reread_names)
            except StoreError as error:
                if self._failure_log.failed(loop.time()):
                    log.error("history is being lost: %s", error)
            else:
                if self._failure_log.recovered():
                    log.info("history is being kept again")
