"""The control socket itself: its rights, and hostile requests."""

from __future__ import annotations

import json
import os
import random
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.control import client
from microscaling.control.server import ControlServer
from microscaling.utils import listener
from tests.fakes.server import wait_for
from tests.test_engine_choice import NOBODY


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlServer]:
    def fails(query: object) -> Any:
        raise ValueError("a fault of ours")

    made = ControlServer(
        str(tmp_path / "c.sock"), {"GET /echo": lambda query: (200, dict(query)), "GET /fails": fails}
    )
    made.start()
    wait_for(lambda: (tmp_path / "c.sock").exists())
    wait_for(lambda: answers(made))
    yield made
    made.stop()
    made.join(10)
    assert not (tmp_path / "c.sock").exists()


def answers(control: ControlServer) -> bool:
    try:
        return bool(client.ask(control.path, "GET /echo", name="a b") == {"name": "a b"})
    except (ProcessLookupError, client.AgentError):
        return False


def test_only_its_user_can_open_it(control: ControlServer) -> None:
    assert stat.S_IMODE(os.stat(control.path).st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_another_user_is_refused(control: ControlServer, tmp_path: Path) -> None:
    """Even if the rights of the file have been changed."""
    folder = tmp_path
    while folder != folder.parent and folder.stat().st_mode & 0o005 != 0o005:
        folder.chmod(0o755)
        folder = folder.parent
    os.chmod(control.path, 0o666)
    ask = (
        f"import os, socket, sys; os.setgid({NOBODY}); os.setuid({NOBODY}); "
        "s = socket.socket(socket.AF_UNIX); "
        "s.connect(sys.argv[1]); s.sendall(b'GET /echo HTTP/1.1\\r\\n\\r\\n'); print(s.recv(1000).decode())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", ask, control.path], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.startswith("HTTP/1.1 403 "), ended


def test_a_socket_that_disappears_is_made_anew(tmp_path: Path) -> None:
    """As in the folder of a user who has logged out."""
    first, second = tmp_path / "gone" / "c.sock", tmp_path / "c.sock"
    first.parent.mkdir()
    made = ControlServer(
        str(first), {"GET /echo": lambda query: (200, dict(query))}, elsewhere=lambda: str(second)
    )
    made.start()
    try:
        wait_for(lambda: answers(made))  # its file is there before its rights are set
        first.unlink()
        first.parent.rmdir()
        wait_for(second.exists)
        wait_for(lambda: answers(made))
        assert stat.S_IMODE(second.stat().st_mode) == 0o600
    finally:
        made.stop()
        made.join(10)
    assert made.error is None
    assert not second.exists()


def test_what_fails_is_said_and_ends_nothing(control: ControlServer) -> None:
    with pytest.raises(client.AgentError, match="ValueError: a fault of ours"):
        client.ask(control.path, "GET /fails")
    with pytest.raises(LookupError, match="there are GET /echo, GET /fails"):
        client.ask(control.path, "GET /none")
    assert answers(control)


HOSTILE = [
    b"",
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\n\r\n",
    b"GET /echo?%ff=%00&a HTTP/1.1\r\n\r\n",
    b"\x00\xff" * 500 + b"\r\n\r\n",
    b"GET /echo?" + b"a" * 40_000,
    b"GET /echo HTTP/1.1\r\n" + b"x: y\r\n" * 5000,
]


def test_hostile_requests(control: ControlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PATIENCE_S", 0.2)
    some = random.Random(1)
    for request in [*HOSTILE, *(some.randbytes(some.randrange(200)) for _ in range(50))]:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(control.path)
            try:
                sock.sendall(request)
                sock.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: sock.recv(4096), b""))
            except (BrokenPipeError, ConnectionResetError):
                answer = b""  # it has not waited for the end of it
        if answer:
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), request
            json.loads(body)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.settimeout(30)
        silent.connect(control.path)
        # A busy machine may take longer for a request than is waited for one here.
        wait_for(lambda: answers(control))
        assert silent.recv(1) == b"", "one that says nothing keeps the others waiting for a moment only"
    assert control.is_alive()


def test_without_a_place_the_agent_goes_on(tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "none" / "c.sock")):
        made = ControlServer(path, {})
        made.start()
        assert made.is_alive()
        made.stop()
        made.join(10)
        assert made.over
        assert made.error is None
