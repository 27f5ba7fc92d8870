"""The channel of events to pages: changes are sent at once, and a slow page skips older states."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator

import orjson

from microscaling import __version__
from microscaling.server.domain.journal import now_ms
from microscaling.server.domain.state import Json, decisions_of, state_of, users_of
from microscaling.server.domain.users import User, Users
from microscaling.server.http.load import Load
from microscaling.server.jobs import Jobs
from microscaling.server.limits import MAX_WATCHERS, Refused

MAX_OFTEN_S = 0.1
"""Shortest time between two states of one user."""
MAX_OF_TIME = 0.08
"""Part of the server's time for states: with many users and agents they are sent less often."""
REFRESH_INTERVAL_S = 2.0
"""Longest time between two states, so that the shown ages of reports advance."""
COMMENT_S = 15.0
RETRY_MS = 1000


def event(name: str, data: Json) -> bytes:
    """Returns one server-sent event. (JSON has no line feeds in it.)"""
    try:
        written = orjson.dumps(data)
    except TypeError:  # half a character, or a number of more than 64 bits
        written = json.dumps(data, separators=(",", ":")).encode()
    return b"event: %b\ndata: %b\n\n" % (name.encode(), written)


class Watcher:
    """One page, with a flag for news; it reads the newest state when it is ready for it."""

    __slots__ = ("closed", "news", "seen_decision", "seen_users", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self.news = asyncio.Event()
        self.seen_decision = 0
        self.seen_users = -1
        self.closed = False


class View:
    """The last state of one user, or one of its agents, serialised once for all pages that show it."""

    def __init__(self, user: str, agent: str) -> None:
        self.user = user
        self.agent = agent
        self.watchers: set[Watcher] = set()
        self.data = b""
        self.drawn = float("-inf")
        self.timer: asyncio.TimerHandle | None = None


class EventHub:
    """All connected pages. `close` ends their streams, as the server cannot end before them."""

    def __init__(self, users: Users, has_token: bool, jobs: Jobs, load: Load | None = None) -> None:
        self.users = users
        self.load = load or Load()
        self.jobs = jobs
        self.has_token = has_token
        self.instance = secrets.token_hex(4)  # the numbers of decisions begin anew with it
        self._screens: dict[str, dict[str, View]] = {}
        """By user, then by agent."""
        self._count = 0
        self._closed = False
        self._costs_s = 0.0
        """Moving average of the time to serialise a state, in seconds."""
        self._users_version = 0
        self._users_text = b""
        users.listeners.append(self.changed)

    def start(self) -> None:
        """Starts the jobs, in the event loop."""
        self.jobs.start(self._beat, self.load.watch)

    def close(self) -> None:
        """Ends the streams of all pages, which reconnect by themselves."""
        self._closed = True
        for screen in self._views():
            if screen.timer is not None:
                screen.timer.cancel()
            for watcher in screen.watchers:
                watcher.closed = True
                watcher.news.set()

    @property
    def count(self) -> int:
        """The number of connected pages."""
        return self._count

    def changed(self, user: User) -> None:
        """Schedules a new state of the user for its pages."""
        # Called for every report, so it costs next to nothing without a page, or if a state is due already.
        screens = self._screens.get(user.name)
        if screens is None or self._closed:
            return
        # Mostly one: only pages that show one agent alone have a view of their own.
        for screen in screens.values():
            if screen.timer is None:
                loop = asyncio.get_running_loop()
                # So all states together take at most MAX_OF_TIME, unless REFRESH_INTERVAL_S is shorter.
                interval = max(MAX_OFTEN_S, self._costs_s * len(self._views()) / MAX_OF_TIME)
                wait = max(0.0, screen.drawn + min(interval, REFRESH_INTERVAL_S) - loop.time())
                screen.timer = loop.call_later(wait, self._draw, screen)

    def admit(self, name: str, agent: str = "") -> Watcher:
        """Adds a page that shows the user `name`, or one of its agents. Raises Refused if there are too
        many."""
        if self._count >= MAX_WATCHERS or self._closed:
            raise Refused(f"more than {MAX_WATCHERS} pages")
        self._count += 1
        screens = self._screens.setdefault(name, {})
        watcher = Watcher(screens.setdefault(agent, View(name, agent)))
        watcher.view.watchers.add(watcher)
        return watcher

    def dismiss(self, watcher: Watcher) -> None:
        """Removes a page that is closed."""
        screen = watcher.view
        if watcher not in screen.watchers:
            return
        self._count -= 1
        screen.watchers.remove(watcher)
        if not screen.watchers:
            if screen.timer is not None:
                screen.timer.cancel()
            del self._screens[screen.user][screen.agent]
            if not self._screens[screen.user]:
                del self._screens[screen.user]

    def _views(self) -> list[View]:
        return [screen for screens in self._screens.values() for screen in screens.values()]

    async def events(self, watcher: Watcher) -> AsyncIterator[bytes]:
        """Yields the events for a page, each after the one before it was sent."""
        yield f"retry: {RETRY_MS}\n\n".encode() + event("hello", self._hello(watcher.view.user))
        self._draw(watcher.view)
        said = time.monotonic()
        while not watcher.closed:
            watcher.news.clear()  # before the reading, so that a change meanwhile sets it again
            if data := self._new_to(watcher):
                yield data
                said = time.monotonic()
            try:
                await asyncio.wait_for(watcher.news.wait(), COMMENT_S)
            except asyncio.TimeoutError:
                pass
            # Proxies drop an idle connection, so a comment is due (HTML, "Server-sent events", 9.2.7).
            if time.monotonic() - said >= COMMENT_S:
                said = time.monotonic()
                yield b": still here\n\n"

    def _hello(self, name: str) -> Json:
        return {
            "server": __version__,
            "instance": self.instance,
            "now": now_ms(),
            "user": name,
            "token": self.has_token,
        }

    def _new_to(self, watcher: Watcher) -> bytes:
        screen = watcher.view
        parts = []
        if watcher.seen_users != self._users_version:
            watcher.seen_users = self._users_version
            parts.append(self._users_text)
        parts.append(screen.data)
        new = [d for d in self.users.get(screen.user).decisions if d.id > watcher.seen_decision]
        if new:
            watcher.seen_decision = new[-1].id
            parts.append(event("decisions", decisions_of(new)))
        return b"".join(parts)

    def _draw(self, screen: View) -> None:
        if self._closed:
            return
        if screen.timer is not None:
            screen.timer.cancel()
            screen.timer = None
        if not self._users_text:
            self._look_at_users()
        loop = asyncio.get_running_loop()
        screen.drawn = loop.time()
        screen.data = event("state", state_of(self.users.get(screen.user), self.load.late_s, screen.agent))
        self._costs_s += (loop.time() - screen.drawn - self._costs_s) / 10
        for watcher in screen.watchers:
            watcher.news.set()

    def _look_at_users(self) -> None:
        text = event("users", users_of(self.users))
        if text != self._users_text:
            self._users_text = text
            self._users_version += 1

    async def _beat(self) -> None:
        """Sends a state to every page at least each REFRESH_INTERVAL_S, also without changes."""
        while True:
            await asyncio.sleep(REFRESH_INTERVAL_S)
            self._look_at_users()
            now = asyncio.get_running_loop().time()
            for screen in self._views():
                if now - screen.drawn >= REFRESH_INTERVAL_S * 0.9:
                    self._draw(screen)
