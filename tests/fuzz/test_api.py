"""What people and programs ask the server over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given

from microscaling.server.app import make_app
from microscaling.server.domain.users import Users
from microscaling.server.http.agents import Agents
from microscaling.server.http.api import Api
from microscaling.server.http.auth import Guard
from microscaling.server.http.events import EventHub
from microscaling.server.http.load import Load
from microscaling.server.http.pages import Pages
from microscaling.server.jobs import Jobs
from microscaling.server.limits import Refusals
from microscaling.server.storage.persistence import Persistence
from microscaling.server.storage.store import open_store
from microscaling.settings import Settings
from tests.fuzz.checks import check_line, fuzz
from tests.fuzz.inputs import Dice, dice
from tests.fuzz.test_apps import APPS

ASKS = [
    ("GET", ""),
    ("GET", "/config"),
    ("GET", "/config.json"),
    ("GET", "/config.yaml"),
    ("GET", "/decisions"),
    ("GET", "/history"),
]
CHANGES = [
    ("PUT", "/config"),
    ("PUT", "/mode"),
    ("PUT", "/paused"),
    ("PUT", "/demand"),
    ("DELETE", "/config"),
]
CONFIGS = [{"version": 0, "config": config} for config in APPS]
BODIES = {
    "/config": CONFIGS, "/mode": [{"mode": "manual"}, {"mode": "queue"}], "/paused": [{"paused": True}],
    "/demand": [{"demand": {"n": 2, "s": 1, "r": 1, "h": 1, "rest": 0}}],
}  # fmt: skip


class Asgi:
    """The application in an event loop of its own, asked without a network between."""

    def __init__(self, folder: Any) -> None:
        self.loop = asyncio.new_event_loop()
        users, refusals, jobs = Users(), Refusals(), Jobs()
        self.keeper = Persistence(open_store(str(folder / "server.db")), users, Settings(), jobs)
        guard = Guard("", "secret", refusals)
        load = Load()
        live = EventHub(users, False, jobs, load)
        agents, pages = Agents(users, guard, refusals, load), Pages(guard, self.keeper)
        self.app = make_app(guard, agents, Api(users, self.keeper, live, load), pages, self.keeper, live)

    def close(self) -> None:
        self.loop.run_until_complete(self.keeper.close())
        self.loop.close()

    def ask(
        self, method: str, path: str, query: str, body: bytes, headers: dict[str, bytes]
    ) -> tuple[int, bytes]:
        return self.loop.run_until_complete(self._ask(method, path, query, body, headers))

    async def _ask(
        self, method: str, path: str, query: str, body: bytes, headers: dict[str, bytes]
    ) -> tuple[int, bytes]:
        sent: list[Any] = []
        left = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return left.pop() if left else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path,
            "raw_path": path.encode("utf-8", "replace"), "root_path": "",
            "query_string": query.encode("utf-8", "replace"),
            "headers": [(name.encode(), value) for name, value in headers.items()], "client": ("127.0.0.1",
            1), "server": ("127.0.0.1", 2),
        }  # fmt: skip
        await self.app(scope, receive, send)
        assert sent[0]["type"] == "http.response.start"
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture(scope="module")
def asgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asgi]:
    asgi = Asgi(tmp_path_factory.mktemp("server"))
    headers = {"host": b"127.0.0.1", "content-type": b"application/json"}
    assert asgi.ask("PUT", "/api/users/a/config", "", json.dumps(CONFIGS[0]).encode(), headers)[0] == 200
    yield asgi
    asgi.close()


@fuzz
@given(dice)
def test_requests(asgi: Asgi, dice: Dice) -> None:
    """Never an error of the server's own; what is refused is refused in a line; what was accepted can be
    read by everybody afterwards."""
    user = dice.text("a", "a", "b")
    method, path = dice.pick(CHANGES if dice.number(3) else ASKS)
    body = dice.json(*BODIES.get(path, [{}]))
    if path == "/config" and dice.number(2):  # else it is all about one number
        version = json.loads(asgi.ask("GET", "/api/users/a/config", "", b"", {"host": b"127.0.0.1"})[1])[
            "version"
        ]
        user, body = "a", body.replace(b'"version": 0', b'"version": %d' % version)
    kind = dice.pick([b"application/json", b"application/json", b"application/json", b"text/plain", b"\xff"])
    headers = {"host": b"127.0.0.1", "content-type": kind}
    query = f"since={quote(dice.digits(), errors='replace')}"
    place = f"/api/users/{user}{path}".encode("utf-8", "replace").decode()
    status, answer = asgi.ask(method, place, query, body, headers)
    assert status < 500, answer[:300]
    if status >= 400 and answer.startswith(b"{"):
        told = json.loads(answer)
        for line in (told["error"], *told.get("problems", ())):
            check_line(line)
    if method != "GET" and status == 200:
        for where in ("/apps/a", *(f"/api/users/a{path}" for _, path in ASKS)):
            assert asgi.ask("GET", where, "", b"", {"host": b"127.0.0.1"})[0] in (200, 404)
