"""The agent as users run it, and the server that it asks, hears and tells."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.server import FakeServer, wait_for

ROOT = Path(__file__).parents[1]
RESTARTS = 20
BACK_WITHIN_S = 2.0
ALL_SERVER = {"MSS_CONFIG": "SERVER", "MSS_DEMAND_ENGINE": "SERVER", "MSS_MONITOR": "SERVER"}


class Agent:
    """One run of `python -m microscaling` with the TOY scheduler."""

    def __init__(self, folder: Path, server: FakeServer | None = None, **environ: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MSS_")}
        # Another test may have a real nsqd at the usual address.
        nobody = {"NSQ_STATS_ENDPOINT": "127.0.0.1:1"}
        own = {"MSS_SCHEDULER": "TOY", "MSS_USER_ID": "hello", **nobody, **environ}
        if server is not None:
            own["MSS_API_ADDRESS"] = server.endpoint
        self.log_path = folder / "agent.log"
        with self.log_path.open("wb") as log:
            command = [sys.executable, "-m", "microscaling"]
            self.process = subprocess.Popen(command, cwd=ROOT, env={**clean, **own}, stderr=log)
        self.proc = Path(f"/proc/{self.process.pid}")

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        print(self.log())  # shown if the test fails

    def log(self) -> str:
        return self.log_path.read_text()

    def says(self, text: str) -> None:
        wait_for(lambda: text in self.log() or self.process.poll() is not None)
        assert text in self.log()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def holds(self) -> tuple[int, int]:
        """How many threads and sockets it has."""
        links = []
        for number in os.listdir(self.proc / "fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                links.append(os.readlink(self.proc / "fd" / number))
        return len(os.listdir(self.proc / "task")), sum(link.startswith("socket:") for link in links)

    def used_s(self) -> float:
        """Seconds of a core that it has used."""
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


def last(server: FakeServer) -> dict[str, object]:
    """What the server has been told of p1 last."""
    told: dict[str, object] = server.messages()[-1]["metrics"]["tasks"][0]
    return told


def test_asked_heard_and_told(tmp_path: Path, server: FakeServer) -> None:
    with Agent(tmp_path, server, MSS_API_TOKEN="t0ken-5", **ALL_SERVER) as agent:
        server.messages()
        server.demand(p1=7)
        wait_for(lambda: last(server) == {"app": "p1", "runningCount": 7, "pendingCount": 7})
        link = server.link
        assert len(server.links) == 1, "engine and monitor share one"
        assert agent.stop() == 0
    assert server.heads[0].startswith("GET /apps/hello HTTP/1.1\r\n")
    assert all("\r\nAuthorization: Bearer t0ken-5\r\n" in head for head in server.heads)
    assert link.headers["origin"] == "http://localhost/"
    assert link.messages[-1]["user"] == "hello"
    wait_for(lambda: link.closed_as_it_should)  # read by a thread, perhaps after the agent has ended
    assert "t0ken" not in agent.log()


def test_the_server_is_stopped_and_started_20_times(tmp_path: Path, server: FakeServer) -> None:
    with Agent(tmp_path, server, **ALL_SERVER) as agent:
        server.messages()
        server.demand(p1=7)
        wait_for(lambda: last(server)["runningCount"] == 7)
        before = agent.holds()
        took = []
        for number in range(RESTARTS):
            server.stop()
            time.sleep(0.1 * number % 0.7)  # in no step with what the agent does
            server.start()
            began = time.monotonic()
            assert server.link
            took.append(time.monotonic() - began)
            assert server.messages()[0]["metrics"]["tasks"][0]["runningCount"] == 7
        # Fewer is no leak: somebody may have asked for its status at the first look.
        wait_for(lambda: all(now <= then for now, then in zip(agent.holds(), before, strict=True)))
        server.demand(p1=3)
        wait_for(lambda: last(server)["runningCount"] == 3)
    # One that is late on a busy machine is no proof of anything.
    assert sum(t < BACK_WITHIN_S for t in took) >= RESTARTS - 1, took
    assert agent.log().count("no connection to the server") == 1


def test_while_the_server_is_away_the_agent_is_idle(tmp_path: Path, server: FakeServer) -> None:
    with Agent(tmp_path, server, **ALL_SERVER) as agent:
        assert server.link
        server.demand(p1=7)
        wait_for(lambda: last(server)["runningCount"] == 7)
        server.stop()
        agent.says("no connection to the server")
        used, began = agent.used_s(), time.monotonic()
        time.sleep(4.0)
        used, seconds = agent.used_s() - used, time.monotonic() - began
        server.start()
        assert last(server)["runningCount"] == 7, "lost is not stopped"
    assert used <= 0.05 * seconds


def test_a_local_engine_does_not_need_the_server(tmp_path: Path) -> None:
    server = FakeServer()
    with Agent(tmp_path, server, MSS_CONFIG="HARDCODED") as agent:
        agent.says("remainder: 0 -> 9")
        agent.says("no connection to the server")
        time.sleep(1.5)
        assert agent.stop() == 0
    told = [line for line in agent.log().splitlines() if server.endpoint in line]
    assert len(told) == 1
    assert told[0].endswith("Connection refused; retrying")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_does_not_wait_for_the_server(tmp_path: Path, number: signal.Signals) -> None:
    with Agent(tmp_path, FakeServer(), MSS_CONFIG="SERVER") as agent:
        agent.says("waiting: http")
        agent.process.send_signal(number)
        assert agent.process.wait(30) == 0
    assert agent.log().splitlines()[-1].endswith("asked to stop before the start was over")
    assert agent.log().count("waiting: http") == 1


def test_a_server_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    server = FakeServer()
    with Agent(tmp_path, server, **ALL_SERVER) as agent:
        agent.says("waiting: http")
        with server:
            server.messages()
            assert agent.stop() == 0


def test_a_server_that_answers_nonsense_is_an_error(tmp_path: Path, server: FakeServer) -> None:
    server.answer = lambda user: ("404 Not Found", b"no such user")
    with Agent(tmp_path, server, MSS_CONFIG="SERVER") as agent:
        assert agent.process.wait(60) == 1
    said = f'microscaling: http://{server.endpoint}/apps/hello: answers with HTTP 404: "no such user"'
    assert agent.log().splitlines()[-1] == said
    assert "Traceback" not in agent.log()


@pytest.mark.parametrize(
    ("environ", "way_out"),
    [
        ({}, "or MSS_CONFIG to FILE (microscaling -f FILE)"),
        ({"MSS_MONITOR": "none"}, "or MSS_CONFIG to FILE (microscaling -f FILE)"),
        ({"MSS_CONFIG": "HARDCODED", "MSS_DEMAND_ENGINE": "SERVER"}, "or MSS_DEMAND_ENGINE to LOCAL"),
        (ALL_SERVER, "or MSS_DEMAND_ENGINE to LOCAL"),
    ],
)
def test_the_public_server_is_gone(tmp_path: Path, environ: dict[str, str], way_out: str) -> None:
    with Agent(tmp_path, **environ) as agent:
        assert agent.process.wait(60) == 2
    (line,) = agent.log().splitlines()
    assert "the public server app.microscaling.com is gone; set MSS_API_ADDRESS to" in line
    assert way_out in line


def test_if_only_the_monitor_would_need_it_it_is_switched_off(tmp_path: Path) -> None:
    with Agent(tmp_path, MSS_CONFIG="HARDCODED") as agent:
        agent.says("remainder: 0 -> 9")
        assert agent.stop() == 0
    (line,) = [line for line in agent.log().splitlines() if "microscaling.com" in line]
    assert re.search(r"is gone; no metrics are sent; set it .* or MSS_MONITOR to none$", line)
