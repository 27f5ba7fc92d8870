"""Containers that take requests, or that wait for go, as an engine shows them."""

from __future__ import annotations

import math
import socket
from typing import Any

import pytest

from microscaling.scheduler.docker.readiness import is_ready, states_of_programs
from tests.services.service import free_port

NONE: list[dict[str, Any]] = [
    {},
    {"Health": None},
    {"Health": {"Status": "none", "FailingStreak": 0}},
    {"Health": {"Status": "", "FailingStreak": 0, "Log": None}},
]


def shown(state: dict[str, Any], port: int) -> dict[str, Any]:
    networks = {"Networks": {"front": {"IPAddress": "127.0.0.1"}}}
    return {
        "State": state,
        "Config": {"ExposedPorts": {f"{port}/tcp": {}}},
        "NetworkSettings": networks,
    }


@pytest.mark.parametrize(
    ("rows", "states"),
    [
        ([("7", "1", "Ss"), ("8", "7", "T")], ["T"]),
        ([("9", "2", "Tl+"), ("2", "40", "Ss")], ["Tl+"]),  # the pids of an engine go round
        ([("1", "0", "Ss"), ("8", "1", "TN")], ["TN"]),  # the container's own pids
        ([("7", "1", "Ss"), ("8", "7", "S"), ("9", "8", "T")], ["S"]),  # no signal reaches a grandchild
        ([("7", "1", "Ts")], []),  # PID 1, and no init
        ([("7", "1", "Ss"), ("8", "7", "S"), ("9", "5", "T")], ["S"]),  # the command of an exec
        ([("1 0 Ss",), (" 8 1 T ",)], ["T"]),
        ([("?",)], []),
        ([], []),
    ],
)
def test_the_children_of_the_first_process(rows: list[tuple[str, ...]], states: list[str]) -> None:
    assert states_of_programs(rows) == states


@pytest.mark.parametrize("state", NONE, ids=["Docker", "null", "Docker 29", "Podman"])
def test_without_a_health_check_a_port_shows_it(state: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        assert is_ready(shown(state, port), 0.0, math.inf)
    assert not is_ready(shown(state, port), 0.0, math.inf)


@pytest.mark.parametrize(("status", "ready"), [("starting", False), ("healthy", True), ("unhealthy", False)])
def test_a_health_check_decides_alone(status: str, ready: bool) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        assert is_ready(shown({"Health": {"Status": status}}, port), 0.0, math.inf) is ready
