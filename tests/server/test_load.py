"""Many agents at once: none that talks is thrown out, and how busy the server is can be seen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import socket
import time

import pytest

from microscaling.server.domain.users import Users
from microscaling.server.http.events import EventHub
from microscaling.server.http.load import REMEMBERED, Load
from microscaling.server.jobs import Jobs
from microscaling.server.limits import MAX_AGENTS
from tests.server.conftest import Start
from tests.server.running import BUSY, Running, until

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
CLOSE = b"\x88\x80\0\0\0\0"


def report(number: int) -> bytes:
    """A report of an agent, as a masked text frame (RFC 6455, section 5)."""
    told = {"app": "p1", "runningCount": number, "pendingCount": number}
    data = json.dumps({"user": "crowd", "metrics": {"tasks": [told]}}).encode()
    return bytes([0x81, 0x80 | 126, *len(data).to_bytes(2, "big"), 0, 0, 0, 0]) + data


def connect(stack: contextlib.ExitStack, server: Running, count: int) -> list[socket.socket]:
    return [stack.enter_context(server.raw()) for _ in range(count)]


def test_a_crowd_that_comes_while_the_server_is_frozen_is_let_in(start: Start) -> None:
    server = start()
    with contextlib.ExitStack() as stack:
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            crowd = connect(stack, server, 700)
            for sock in crowd:
                sock.sendall(HANDSHAKE)
            time.sleep(1.5)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        for number, sock in enumerate(crowd):
            assert sock.recv(12) == b"HTTP/1.1 101"
            sock.sendall(report(number))
        until(lambda: server.get("/api/status")["reports"] == 700)
        status = server.get("/api/status")
        assert (status["agents"], status["closes"]) == (700, {})
        assert BUSY in server.log


def test_what_has_been_sent_but_not_read_is_not_silence(start: Start) -> None:
    server = start()
    with contextlib.ExitStack() as stack:
        first = connect(stack, server, 512)
        for sock in first:
            sock.sendall(HANDSHAKE)
            assert sock.recv(12) == b"HTTP/1.1 101"
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            for number, sock in enumerate(first):
                sock.sendall(report(number))
            more = connect(stack, server, 200)
            for sock in more:
                sock.sendall(HANDSHAKE)
            time.sleep(2.5)  # now all of the first are older than is allowed to be silent
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        for number, sock in enumerate(more):
            assert sock.recv(12) == b"HTTP/1.1 101"
            sock.sendall(report(number))
        until(lambda: server.get("/api/status")["reports"] == 712)
        assert server.get("/api/status")["closes"] == {}


def test_the_silent_go_and_that_is_logged_and_counted(start: Start) -> None:
    server = start()
    with contextlib.ExitStack() as stack:
        for sock in connect(stack, server, 515):
            sock.sendall(HANDSHAKE)
            assert sock.recv(12) == b"HTTP/1.1 101"
        assert server.get("/api/status")["closes"] == {"silent for too long": 3}
        assert server.warnings == [
            "refused, from 127.0.0.1: an agent's connection is closed: silent for too long"
        ]


def test_more_than_fit_are_refused_and_come_later(start: Start) -> None:
    server = start()
    with contextlib.ExitStack() as stack:
        fresh = connect(stack, server, 512 + 300)
        for sock in fresh:
            sock.sendall(HANDSHAKE)
        answers = [sock.recv(12) for sock in fresh]
        assert set(answers) <= {b"HTTP/1.1 101", b"HTTP/1.1 503"}
        assert server.get("/api/status")["closes"].get("refused with 503", 0) == answers.count(
            b"HTTP/1.1 503"
        )
        with server.agent("late") as agent:
            agent.report(a=(1, 1, 0))
            until(lambda: server.get("/api/users/late")["agents"]["connected"])


def test_one_agent_too_many_is_refused_in_good_order(start: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        server = start()
        with contextlib.ExitStack() as stack:
            crowd = []
            for number in range(MAX_AGENTS):
                crowd += connect(stack, server, 1)
                crowd[-1].sendall(HANDSHAKE)
                assert crowd[-1].recv(12) == b"HTTP/1.1 101"
                crowd[-1].sendall(report(number))
            for _ in range(20):
                [sock] = connect(stack, server, 1)
                sock.sendall(HANDSHAKE)
                assert sock.recv(12) == b"HTTP/1.1 503"
            until(lambda: server.get("/api/status")["reports"] == MAX_AGENTS)
            status = server.get("/api/status")
            assert (status["agents"], status["closes"]) == (MAX_AGENTS, {"refused with 503": 20})
            crowd[0].sendall(CLOSE)
            until(lambda: server.get("/api/status")["agents"] == MAX_AGENTS - 1)
            with server.agent("late") as agent:
                agent.report(a=(1, 1, 0))
                until(lambda: server.get("/api/users/late")["agents"]["connected"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_busy_is_said_once_and_so_is_that_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    load = Load()
    for number, late in enumerate([0.1, 0.9, 1.24, 3.0, 0.2]):
        load.looked(late, float(number))
    assert load.late_s == 3.0
    for number in range(REMEMBERED):
        load.looked(0.0, 5.0 + number)
    assert load.late_s == 0.0
    assert caplog.messages == ["too busy: reports are read 1.2 s late", "reports are read in time again"]


def test_reports_that_came_at_once_are_read_one_by_one_and_none_is_lost(start: Start) -> None:
    server = start()
    with contextlib.ExitStack() as stack:
        crowd = connect(stack, server, 3)
        for sock in crowd:
            sock.sendall(HANDSHAKE)
            assert sock.recv(12) == b"HTTP/1.1 101"
            sock.sendall(b"".join(report(number) for number in range(40)))
        until(lambda: server.get("/api/status")["reports"] == 120)
        assert server.get("/api/users/crowd")["tasks"][0]["running"] == 3 * 39
        crowd[0].sendall(b"".join(report(number) for number in range(10)) + CLOSE)
        until(lambda: server.get("/api/status")["reports"] == 130)
        until(lambda: server.get("/api/status")["agents"] == 2)


def test_all_that_was_sent_before_a_close_counts_however_late_it_is_read(start: Start) -> None:
    server = start()
    server.configure("crowd", "manual")
    with contextlib.ExitStack() as stack:
        crowd = connect(stack, server, 5)
        for sock in crowd:
            sock.sendall(HANDSHAKE)
            assert sock.recv(12) == b"HTTP/1.1 101"
            sock.sendall(report(0))
        until(lambda: server.get("/api/status")["reports"] == 5)  # each has been sent demand, and reads none
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            for sock, count in zip(crowd, (1, 20, 61, 200, 300), strict=True):
                sock.sendall(b"".join(report(number) for number in range(count)) + CLOSE)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        for sock in crowd:
            while sock.recv(2**16):
                pass
        until(lambda: server.get("/api/status")["agents"] == 0)
        status = server.get("/api/status")
        assert (status["reports"], status["closes"]) == (5 + 1 + 20 + 61 + 200 + 300, {})


def test_states_come_less_often_the_more_they_cost() -> None:
    async def intervals() -> list[float]:
        live = EventHub(Users(), False, Jobs())
        loop = asyncio.get_running_loop()
        found = []
        for cost in (0.0, 0.02, 100.0):
            live._costs_s = cost
            watcher = live.admit("a")
            watcher.view.drawn = loop.time()
            live.changed(live.users.get("a"))
            timer = watcher.view.timer
            assert timer is not None
            found.append(timer.when() - loop.time())
            live.dismiss(watcher)
        return found

    often, seldom, longest = asyncio.run(intervals())
    assert often <= 0.1 < seldom <= 0.5 < longest <= 2.0
