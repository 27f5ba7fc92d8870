"""A real server in a process of its own, and what talks to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
import websocket

ROOT = Path(__file__).parents[2]
ORIGIN = "http://localhost/"
PATIENCE_S = 60.0
"""Long enough for a busy machine: only a test that fails waits for all of it."""
BUSY = "too busy: reports are read "
PLAN: dict[str, Any] = {
    "maxContainers": 10,
    "apps": [
        {"name": "p1", "priority": 1, "minContainers": 1, "maxContainers": 9, "ruleType": "Queue",
         "metricType": "NSQ", "config": {"targetQueueLength": 50, "topicName": "t", "channelName": "c"}},
        {"name": "p2", "priority": 2, "minContainers": 1, "maxContainers": 9, "ruleType": "Remainder"},
    ],
}  # fmt: skip


def until(true: Callable[[], Any], what: str = "") -> Any:
    """Waits until it is, and returns what it is."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.02)
    raise AssertionError(what or "in vain")


class Running:
    """The server; `log` is what it has said."""

    def __init__(self, folder: Path, address: str = "127.0.0.1:0", **environ: str) -> None:
        self._log = (folder / "server.log").open("w+")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MSS_")}
        store = {"MSS_SERVER_ADDRESS": address, "MSS_SERVER_STORE": str(folder / "server.db")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "microscaling", "server"],
            cwd=ROOT,
            env={**clean, **store, **environ},
            stderr=self._log,
        )
        self.token = environ.get("MSS_SERVER_TOKEN", "")
        said = until(lambda: re.search(r":(\d+)/\n", self.log) or self.process.poll() is not None, "no start")
        if said is True:
            self.stop()
            raise AssertionError(self.log)
        self.port = int(said[1])
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    @property
    def warnings(self) -> list[str]:
        """Without level and time, and without those of a busy machine; the lines of a traceback count."""
        lines = [line for line in self.log.splitlines() if not line.startswith("INFO") and BUSY not in line]
        return [line if line.startswith(" ") else line.split(": ", 1)[1] for line in lines]

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._log.close()
        return code

    def ask(self, method: str, path: str, body: object = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method,
                self.url + path,
                json=body,
                headers=headers,
                timeout=PATIENCE_S,
                **options,
            )

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, path: str, body: object) -> Any:
        answer = self.ask("PUT", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def configure(self, user: str, mode: str, plan: dict[str, Any] = PLAN) -> None:
        version = self.get(f"/api/users/{user}/config")["version"]
        self.put(f"/api/users/{user}/config", {"version": version, "config": plan})
        self.put(f"/api/users/{user}/mode", {"mode": mode})

    @contextlib.contextmanager
    def agent(self, user: str = "", origin: str | None = ORIGIN, **headers: str) -> Iterator[Agent]:
        """A connection as the Go agent opens it."""
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        socket_ = websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/",
            origin=origin,
            suppress_origin=origin is None,
            host=headers.pop("Host", None),
            header={**bearer, **headers},
            timeout=PATIENCE_S,
        )
        try:
            yield Agent(socket_, user)
        finally:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                socket_.close(timeout=0.2)
            socket_.shutdown()  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def page(self, user: str, **headers: str) -> Iterator[Iterator[tuple[str, Any]]]:
        """A page's live channel: names and data of its events."""
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with requests.Session() as session:
            session.trust_env = False
            with session.get(
                f"{self.url}/live?user={user}",
                stream=True,
                headers={**bearer, **headers},
                timeout=PATIENCE_S,
            ) as answer:
                assert answer.status_code == 200, answer.text
                yield _events(answer)

    @contextlib.contextmanager
    def raw(self) -> Iterator[socket.socket]:
        """A bare connection."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as sock:
            yield sock


class Agent:
    """What the Go agent sends and understands."""

    def __init__(self, connection: websocket.WebSocket, user: str) -> None:
        self.websocket = connection
        self.user = user

    def report(self, detail: Mapping[str, Any] | None = None, /, **tasks: tuple[int, int, int]) -> None:
        """Running, requested and metric of each task; a metric of 0 is left out."""
        told = [
            {"app": app, "runningCount": running, "pendingCount": requested}
            | ({"metric": metric} if metric else {})
            for app, (running, requested, metric) in tasks.items()
        ]
        message = {"user": self.user, "metrics": {"tasks": told, "createdAt": int(time.time())}}
        self.websocket.send(json.dumps(message | ({"detail": dict(detail)} if detail else {})))

    def raw(self, data: bytes) -> None:
        """Sends bytes as they are."""
        assert self.websocket.sock
        self.websocket.sock.sendall(data)

    def hear(self) -> dict[str, int]:
        """The next demand message."""
        message = json.loads(self.websocket.recv())
        assert message.keys() == {"demand"}
        return {task["app"]: task["demandCount"] for task in message["demand"]["tasks"]}


def _events(answer: requests.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith(b"event: "):
            name = line[7:].decode()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])
