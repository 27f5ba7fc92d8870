"""Whatever is sent: it is refused and logged once, nothing is lost, and others notice nothing."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.server.running import PLAN, Agent, Running, until

DEEP = "[" * 100_000
HTML = '<img src=x onerror="alert(1)">&amp;\'"</script><script>alert(2)</script>'
TRICKS = [
    "/static/../store.py",
    "/static/%2e%2e/store.py",
    "/static/..%2fstore.py",
    "/static/....//store.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/..\\store.py",
    "/static/index.html%00.js",
    "//etc/passwd",
    "/apps/..",
    "/apps/%2e%2e",
    "/apps/a%2fb",
    "/apps/a%00b",
    "/api/users/../status/config",
    "/api/users/%0d%0aX:1/config",
    "/apps/" + "x" * 200,
]


@pytest.fixture
def bystander(server: Running) -> Iterator[None]:
    """Somebody who has nothing to do with it, and is served all the while."""
    server.configure("bystander", "manual")
    server.put("/api/users/bystander/demand", {"demand": {"p1": 1}})
    with server.agent("bystander") as agent:
        agent.report(p1=(1, 1, 0), p2=(1, 1, 0))
        assert agent.hear()
        yield
        agent.report(p1=(5, 5, 0), p2=(1, 1, 0))
        state = until(
            lambda: (s := server.get("/api/users/bystander"))["agents"]["shown"][0]["received"] == 2 and s,
        )
        assert state["tasks"][0]["running"] == 5
        server.put("/api/users/bystander/demand", {"demand": {"p1": 4}})
        assert agent.hear() == {"p1": 4}
    assert server.process.poll() is None


def told(key: str, value: object, **more: object) -> str:
    """A report with a detail of one task."""
    metrics = {"tasks": [{"app": "x", "runningCount": 1, "pendingCount": 1}]}
    detail = {"tasks": [{"app": "x", key: value, **more}]}
    return json.dumps({"user": "a", "metrics": metrics, "detail": detail})


MESSAGES = {
    "not JSON": "message of an agent: the message is not JSON",
    "[]": "message of an agent: the message: expected an object",
    DEEP: "message of an agent: the message is nested too deeply",
    '{"user": 1}': "user: expected a name",
    '{"user": "a/b"}': "user: expected a name",
    '{"user": ".."}': "user: expected a name",
    '{"user": "a\\nb"}': "user: expected a name",
    '{"user": "a", "metrics": 1}': "metrics: expected an object",
    '{"user": "a", "metrics": {"tasks": {"a": 1}}}': "metrics.tasks: expected a list",
    '{"user": "a", "metrics": {"tasks": [1]}}': "metrics.tasks: expected an object",
    json.dumps({"user": "a", "metrics": {"tasks": [{}] * 1001}}): "metrics.tasks: expected a list",
    '{"user": "a", "metrics": {"tasks": [{"app": ["x"]}]}}': "app: expected text",
    json.dumps({"user": "a", "metrics": {"tasks": [{"app": "x" * 129}]}}): "app: longer than 128",
    '{"user": "a", "metrics": {"tasks": [{"app": "x", "runningCount": -1}]}}': "runningCount: expected",
    '{"user": "a", "metrics": {"tasks": [{"app": "x", "pendingCount": true}]}}': "pendingCount: expected",
    '{"user": "a", "metrics": {"tasks": [{"app": "x", "metric": 1e3}]}}': "metric: expected",
    '{"user": "a", "metrics": {"tasks": [{"app": "x", "metric": NaN}]}}': "the message is not JSON",
    '{"user": "a", "metrics": {"tasks": [{"app": "x", "metric": 1' + "0" * 5000 + "}]}}": "is not JSON",
    '{"user": "a", "metrics": {"tasks": [{"app": "x", "pendingCount": 1}]}}': "runningCount: is missing",
    '{"user": "a", "metrics": {"tasks": [{"app": "x", "runningCount": 1, "pendingCount": null}]}}': (
        "pendingCount: is missing"
    ),
    '{"user": "a", "metrics": {"tasks": [{"app": "x", "metric": 1' + "0" * 30 + "}]}}": "metric: expected",
    '{"user": "a", "detail": []}': "detail: expected an object",
    told("rule", ["Queue"]): "rule: expected text",
    told("rule", "Queue", more=-1): "more: expected a whole number",
    told("rule", "Queue", lacks="9"): "lacks: expected a whole number",
    told("failing", "exit code 1"): "failing: expected an object",
    told("failing", {"exitCode": 1e3}): "exitCode: expected a whole number",
    told("failing", {"lines": ["x"]}): "lines: expected text",
    told("containers", {}): "containers: expected a list of at most 50",
    told("containers", [{}] * 51): "containers: expected a list of at most 50",
    told("containers", ["c1"]): "containers: expected an object",
    told("containers", [{"seconds": -1}]): "seconds: expected a whole number",
}


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(("text", "said"), MESSAGES.items(), ids=range(len(MESSAGES)))
def test_messages_that_make_no_sense(server: Running, text: str, said: str) -> None:
    before = len(server.warnings)
    with server.agent("still-here") as agent:
        for _ in range(3):
            agent.websocket.send(text)
        agent.report(a=(1, 1, 0))
        until(lambda: server.get("/api/users/still-here")["agents"]["connected"])
    new = server.warnings[before:]
    assert len(new) <= 1  # another text with the same fault may have been before
    assert sum(said in line for line in server.warnings) == 1


@pytest.mark.usefixtures("bystander")
def test_nothing_but_nonsense_ends_the_connection(server: Running) -> None:
    with server.agent() as agent:
        for _ in range(50):
            agent.websocket.send("?")
        assert closed_with(agent) == 1008


def closed_with(agent: Agent) -> int:
    """The code that the server closes the connection with."""
    while True:
        kind, data = agent.websocket.recv_data()
        if kind == websocket.ABNF.OPCODE_CLOSE:
            return int(struct.unpack("!H", data[:2])[0])


def one_frame(agent: Agent) -> None:
    agent.websocket.send("x" * 300_000)


def many_frames(agent: Agent) -> None:
    with contextlib.suppress(OSError, websocket.WebSocketException):
        agent.websocket.send_frame(websocket.ABNF.create_frame("x" * 1000, websocket.ABNF.OPCODE_TEXT, 0))
        for _ in range(400):
            agent.websocket.send_frame(websocket.ABNF.create_frame("x" * 1000, websocket.ABNF.OPCODE_CONT, 0))


def claimed(agent: Agent) -> None:
    agent.raw(struct.pack("!BBQ", 0x81, 0xFF, 2**60) + bytes(4))


def not_utf8(agent: Agent) -> None:
    agent.websocket.send(b"\xff\xfe", websocket.ABNF.OPCODE_TEXT)


def not_masked(agent: Agent) -> None:
    agent.raw(b"\x81\x02hi")


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(
    ("send", "code", "said"),
    [
        (one_frame, 1009, "is longer than 262144 bytes"),
        (many_frames, 1009, "is longer than 262144 bytes"),
        (claimed, 1009, "is longer than 262144 bytes"),
        (not_utf8, 1007, "is not UTF-8"),
        (not_masked, 1002, "breaks the websocket protocol"),
    ],
)
def test_frames(server: Running, send: Callable[[Agent], None], code: int, said: str) -> None:
    with server.agent("frames") as agent:
        send(agent)
        with contextlib.suppress(OSError, websocket.WebSocketException):  # what was not read resets it
            assert closed_with(agent) == code
    until(lambda: sum(said in line for line in server.warnings) == 1)


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("path", TRICKS)
def test_paths(server: Running, path: str) -> None:
    with server.raw() as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.split()[1] in (b"400", b"404"), answer
    assert b"root:" not in answer
    assert b"import" not in answer


def endless_header(sock: socket.socket) -> None:
    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
    while True:
        sock.sendall(b"x" * 10_000)


def endless_body(sock: socket.socket) -> None:
    sock.sendall(
        b"PUT /api/users/a/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
    )
    while True:
        sock.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")


def huge_body(sock: socket.socket) -> None:
    sock.sendall(
        b"PUT /api/users/a/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\n\r\n",
    )
    while True:
        sock.sendall(b"x" * 10_000)


def garbage(sock: socket.socket) -> None:
    sock.sendall(os.urandom(5000) + b"\r\n\r\n")
    sock.shutdown(socket.SHUT_WR)


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("send", [endless_header, endless_body, huge_body, garbage])
def test_requests_that_are_none(server: Running, send: Callable[[socket.socket], None]) -> None:
    before = len(server.warnings)
    for _ in range(3):
        with server.raw() as sock:
            answer = b""
            with contextlib.suppress(ConnectionError):
                send(sock)
            with contextlib.suppress(ConnectionError):
                while part := sock.recv(65536):
                    answer += part
            assert not answer or answer.split()[1] in (b"400", b"413", b"431")
    assert len(server.warnings) - before <= 1


@pytest.mark.usefixtures("bystander")
def test_deep_and_wrong_configurations(server: Running) -> None:
    for data in (DEEP, '{"a":' * 50_000, '{"version": 0, "config": ' + DEEP, "\xff", '{"version": 1e999}'):
        answer = server.ask(
            "PUT",
            "/api/users/deep/config",
            headers={"Content-Type": "application/json"},
            data=data,
        )
        assert answer.status_code == 400
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    plan = {**PLAN, "x-deep": deep}
    assert server.ask("PUT", "/api/users/deep/config", {"version": 0, "config": plan}).status_code in (
        200,
        400,
    )


@pytest.mark.usefixtures("bystander")
def test_markup_in_every_name_stays_text(server: Running) -> None:
    user = HTML.replace("/", "|")
    path = "/api/users/" + "".join(f"%{byte:02x}" for byte in user.encode())
    app = {"name": HTML, "priority": 1, "maxContainers": 2, "config": {"image": HTML, "command": HTML}}
    server.put(path + "/config", {"version": 0, "config": {"maxContainers": 2, "apps": [app]}})
    server.put(path + "/mode", {"mode": "manual"})
    with server.agent(user) as agent:
        detail = {"name": HTML, "hold": HTML, "tasks": [{"app": HTML, "reason": HTML, "held": HTML}]}
        agent.report(detail, **{HTML: (1, 1, 0)})
        assert agent.hear() == {HTML: 0}
        answer = server.ask("GET", path)
        state = answer.json()
    assert state["user"] == user
    assert (
        state["tasks"][0]["app"] == state["tasks"][0]["held"] == state["agents"]["shown"][0]["name"] == HTML
    )
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")


FLOOD = 200
"""Messages, for some seconds: a busy machine has the other agent's before the last of them."""


@pytest.mark.usefixtures("bystander")
def test_a_flood_is_slowed_and_nothing_of_it_lost(server: Running) -> None:
    with server.agent("flood") as agent, server.agent("calm") as calm:
        for _ in range(FLOOD):
            agent.report(a=(1, 1, 1))
        calm.report(a=(1, 1, 1))
        until(lambda: server.get("/api/users/calm")["agents"]["connected"])
        assert server.get("/api/users/flood")["agents"]["shown"][0]["received"] < FLOOD
        until(lambda: server.get("/api/users/flood")["agents"]["shown"][0]["received"] == FLOOD)
    assert sum("slowed down" in line for line in server.warnings) == 1


@pytest.mark.usefixtures("bystander")
def test_half_open_connections_are_cut_off(server: Running) -> None:
    beginnings = [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET",
    ]
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(server.raw()) for _ in beginnings]
        for sock, beginning in zip(socks, beginnings, strict=True):
            sock.sendall(beginning)
        for sock in socks:
            with contextlib.suppress(ConnectionError):
                while sock.recv(65536):
                    pass


@pytest.mark.usefixtures("bystander")
def test_the_silent_make_room(server: Running) -> None:
    handshake = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(server.raw()) for _ in range(560)]
        for sock in socks:
            sock.sendall(handshake)
            assert sock.recv(12) == b"HTTP/1.1 101"
        until(lambda: server.get("/api/status")["agents"] <= 520)
        with server.agent("late") as agent:
            agent.report(a=(1, 1, 0))
            until(lambda: server.get("/api/users/late")["agents"]["connected"])
    until(lambda: server.get("/api/status")["agents"] <= 1)


def test_wrong_tokens(guarded: Running, tmp_path: Path) -> None:
    for _ in range(5):
        assert guarded.ask("GET", "/api/users", headers={"Authorization": "Bearer wrong"}).status_code == 401
    with (
        pytest.raises(websocket.WebSocketBadStatusException, match="401"),
        guarded.agent(Authorization="Bearer no"),
    ):
        pass
    assert guarded.get("/api/users")
    assert sum("wrong token" in line for line in guarded.warnings) <= 2
    assert "correct-horse" not in guarded.log
