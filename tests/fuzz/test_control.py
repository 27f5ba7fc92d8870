"""Hostile requests to the control socket and to the metrics, and hostile orders of a server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from microscaling.api.orders import COMMANDS, read_order
from microscaling.control.server import ControlServer
from microscaling.control.views import handlers
from microscaling.control.wishes import Wishes
from microscaling.demand.override import MAX_CONTAINERS
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.engine.overrides import Overrides
from microscaling.settings import Settings
from microscaling.telemetry.server import MetricsServer, metrics_server
from microscaling.utils.listener import Listener
from tests.fakes.server import wait_for
from tests.fuzz.checks import fuzz, is_whole
from tests.fuzz.inputs import Dice, dice

NAMES = ("mailer", 'a"b\n', "é")
REQUESTS = [
    b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /explain?task=mailer HTTP/1.1\r\n\r\n",
    b"POST /pause?task=mailer&seconds=60&down=true HTTP/1.1\r\n\r\n",
    b"POST /pin?task=%C3%A9&containers=3&seconds=1e9 HTTP/1.1\r\n\r\n",
    b"POST /resume HTTP/1.1\r\n\r\n",
]
SCRAPES = [
    b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n",
    b"HEAD /metrics?name[]=up HTTP/1.0\r\nAccept: text/plain\r\n\r\n",
]
ORDER = {"order": {"app": "mailer", "command": "pin", "containers": 3, "seconds": 60, "down": True}}


def tasks() -> Tasks:
    return Tasks([Task(name, max_containers=8) for name in NAMES], 10)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ControlServer, Wishes]]:
    folder = tmp_path_factory.mktemp("control")
    wishes = Wishes(tasks(), str(folder / "overrides.json"))
    made = ControlServer(str(folder / "c.sock"), handlers(wishes.tasks, "TOY") | wishes.handlers())
    made.start()
    wait_for(lambda: listens(made.path))  # its file is there before that
    yield made, wishes
    end(made)


@pytest.fixture(scope="module")
def metrics() -> Iterator[MetricsServer]:
    made = metrics_server(Settings(metrics_address="127.0.0.1:0"), tasks(), LocalEngine())
    made.start()
    yield made
    end(made)


def listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(path) == 0


def end(made: Listener) -> None:
    made.stop()
    made.join(60)
    assert made.over
    assert made.error is None


def answer(family: int, address: Any, request: bytes) -> tuple[int, bytes]:
    """Status and body; 0 if it hangs up on a request without an end."""
    with socket.socket(family) as sock:
        sock.settimeout(60)
        sock.connect(address)
        try:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: sock.recv(65536), b""))
        except (BrokenPipeError, ConnectionResetError):
            return 0, b""
    if not said:
        return 0, b""
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), said
    return int(head.split(b" ")[1]), body


@fuzz
@given(dice)
def test_requests_of_commands(control: tuple[ControlServer, Wishes], dice: Dice) -> None:
    """Each is answered in JSON, or not at all; overrides are only of tasks, and within bounds."""
    server, wishes = control
    status, body = answer(socket.AF_UNIX, server.path, dice.damaged(dice.pick(REQUESTS), REQUESTS))
    assert server.is_alive()
    assert status in (0, 200, 400, 404), body
    if status:
        assert isinstance(json.loads(body), dict)
    with wishes.tasks as all_tasks:
        for name, override in all_tasks.overrides.items():
            assert name in NAMES
            assert override.containers is None or is_whole(override.containers, 0, MAX_CONTAINERS)
            override.words()
        Overrides(all_tasks).apply()


@fuzz
@given(dice)
def test_scrapes(metrics: MetricsServer, dice: Dice) -> None:
    address = metrics.listen().getsockname()
    status, _ = answer(socket.AF_INET, address, dice.damaged(dice.pick(SCRAPES), SCRAPES))
    assert status in (0, 200, 404, 405)
    assert metrics.is_alive()


@fuzz
@given(dice)
def test_orders_of_a_server(dice: Dice) -> None:
    found = read_order(dice.json(ORDER))
    if found is not None:
        command, query = found
        assert command in COMMANDS
        assert query["task"]
        wishes = Wishes(tasks(), "/nonexistent/overrides.json")
        wishes._warned = True
        status, body = wishes.handlers()[f"POST /{command}"](query)
        assert status == 200 or body["error"]
        assert {*wishes.tasks.overrides} <= {*NAMES}
