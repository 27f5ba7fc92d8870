"""What pages are sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from microscaling.server.domain.users import Users
from microscaling.server.http.api import Stream
from microscaling.server.http.events import EventHub, Watcher, event
from microscaling.server.jobs import Jobs
from microscaling.server.limits import MAX_WATCHERS, Refused
from tests.server.conftest import Start
from tests.server.running import Running, until

BY_HAND = "set by hand, by a program at 127.0.0.1"


def after(events: Iterator[tuple[str, Any]], name: str, true: Any = lambda data: True) -> Any:
    """The next event of that name that is so."""
    return next(data for found, data in events if found == name and true(data))


def test_page_gets_all_at_once_and_then_what_changes(server: Running) -> None:
    server.configure("live", "manual")
    with server.page("live") as events, server.agent("live") as agent:
        assert [next(events)[0] for _ in range(3)] == ["hello", "users", "state"]
        agent.report(p1=(1, 3, 70), p2=(2, 1, 0))
        state = after(events, "state", lambda state: state["tasks"][0]["reported"])
        first, second = state["tasks"]
        assert (
            first.items()
            >= {"running": 1, "requested": 3, "starting": 2, "stopping": 0, "metric": 70}.items()
        )
        assert second.items() >= {"running": 2, "starting": 0, "stopping": 1, "metric": None}.items()
        server.put("/api/users/live/demand", {"demand": {"p1": 6}})
        decided = after(events, "decisions")["decisions"][0]
        assert decided.items() >= {"app": "p1", "before": 1, "after": 6, "reason": BY_HAND}.items()
        assert after(events, "state", lambda state: state["tasks"][0]["slider"] == 6)["cap"] == 10


def test_sums_over_agents(server: Running) -> None:
    server.configure("sums", "off")
    with server.agent("sums") as one, server.agent("sums") as two:
        one.report(p1=(1, 2, 10), p2=(4, 4, 0))
        two.report(p1=(3, 2, 30), p2=(4, 4, 0))
        state = until(lambda: (s := server.get("/api/users/sums"))["agents"]["connected"] == 2 and s)
    task = state["tasks"][0]
    assert state["cap"] == 20
    expected = {"running": 4, "requested": 4, "starting": 1, "stopping": 1, "metric": 30, "max": 9}
    assert task.items() >= expected.items()


def test_a_page_that_does_not_read_slows_nobody(server: Running) -> None:
    server.configure("slow", "off")
    with server.raw() as stuck, server.agent("slow") as agent:
        stuck.sendall(b"GET /live?user=slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        name = "x" * 100
        began = time.monotonic()
        for i in range(300):
            agent.report(**{f"{name}{j}": (i, i, i) for j in range(30)})
        until(lambda: server.get("/api/users/slow")["agents"]["shown"][0]["received"] == 300)
        with server.page("slow") as events:
            assert after(events, "state")["tasks"]
        assert time.monotonic() - began < 60


def test_history_and_page_come_through_a_restart(start: Start) -> None:
    server = start()
    server.configure("again", "manual")
    with server.agent("again") as agent:
        agent.report(p1=(1, 1, 5), p2=(2, 2, 0))
        until(lambda: len(server.get("/api/users/again/history")["full"]["times"]) >= 2)
        with server.page("again") as events:
            before = after(events, "hello")["instance"]
            began = time.monotonic()
            assert server.stop() == 0  # though an agent and a page are connected
            assert time.monotonic() - began < 15
    server = start()
    history = server.get("/api/users/again/history")["full"]
    assert history["tasks"]["p1"]["running"][0] == 1
    assert history["tasks"]["p1"]["metric"][0] == 5
    assert history["cap"][0] == 10
    assert server.get("/api/users/again")["mode"] == "manual"
    with server.page("again") as events:
        assert after(events, "hello")["instance"] != before


class Watched(EventHub):
    """Notes who is let go of."""

    def dismiss(self, watcher: Watcher) -> None:
        super().dismiss(watcher)
        self.watched = self.count


def test_a_page_that_is_dead_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microscaling.server.http.api.READ_S", 0.01)

    async def never(message: Any = None) -> Any:
        await asyncio.sleep(60)

    async def look() -> Watched:
        live = Watched(Users(), False, Jobs())
        stream = Stream(live, live.admit("a"))
        assert live.count == 1
        await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, never, never)
        live.close()
        return live

    assert asyncio.run(look()).watched == 0


def test_pages_are_bounded() -> None:
    async def fill() -> None:
        live = EventHub(Users(), False, Jobs())
        for _ in range(MAX_WATCHERS):
            live.admit("a")
        with pytest.raises(Refused):
            live.admit("a")

    asyncio.run(fill())


@pytest.mark.parametrize("value", ["half a \ud800", 2**64, "a line\nand\r\u2028\x85 more", "\u00e9"])
def test_an_event_is_two_lines_whatever_is_in_it(value: str | int) -> None:
    name, data, *rest = event("state", {"x": value}).replace(b"\r", b"\n").split(b"\n")
    assert name == b"event: state"
    assert data.startswith(b"data: ")
    assert json.loads(data[6:]) == {"x": value}
    assert rest == [b"", b""]
