"""The same work by labels: services of Compose, scaled by COMPOSE, and the same tasks by DOCKER."""

from __future__ import annotations

import http.server
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.bench import containers
from scripts.bench.containers import CAP, MANY, HandOver, UpAndDown
from scripts.bench.engine import IMAGE, MINE, Witness
from scripts.bench.ours import OurAgent, rest_app

PROJECT = "mssbenchlabels"
TARGET = 10


class HTTPQueue:
    """A length that a server answers: labels cannot name a file, as the queue of the other cases is."""

    def __init__(self) -> None:
        self.items = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = json.dumps({"items": outer.items}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> HTTPQueue:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, items: int) -> None:
        self.items = items

    def app(self, name: str, most: int) -> dict[str, Any]:
        """The task that this queue measures."""
        rule = {"ruleType": "Queue", "metricType": "HTTP"}
        measured = {"url": self.url, "path": "items", "targetQueueLength": TARGET}
        app = {**rest_app(name, most), **rule, "priority": 1}
        return {**app, "config": {**app["config"], **measured}}

    def labels(self, most: int) -> dict[str, str]:
        """The same as labels of a service."""
        measured = {"rule": "Queue", "target": TARGET, "metric": "HTTP", "metric.url": self.url,
                    "metric.path": "items"}  # fmt: skip
        return labels(1, most, **measured)


def labels(priority: int, most: int, **more: object) -> dict[str, str]:
    told = {"enable": "true", "priority": priority, "min": 1, "max": most, **more}
    return {f"microscaling.{key}": str(value) for key, value in told.items()}


@contextmanager
def project(witness: Witness, **services: dict[str, str]) -> Iterator[None]:
    """Services with these labels, each with one container, as `docker-compose up` makes it; what there is of
    them is removed in the end."""
    with tempfile.TemporaryDirectory(prefix="mss-compose-") as folder:
        file = Path(folder, "docker-compose.json")
        same = {"image": IMAGE, "network_mode": "host", "stop_grace_period": "1s"}
        made = {f"{MINE}-{name}": {**same, "labels": marked} for name, marked in services.items()}
        file.write_text(json.dumps({"version": "3.7", "services": made}))
        base = ["docker-compose", "-f", str(file), "-p", PROJECT]
        _run([*base, "up", "-d"])
        try:
            witness.wait(**dict.fromkeys(made, 1))
            yield
        finally:
            _run([*base, "down", "-t", "1"])
            witness.wait(**dict.fromkeys(made, 0))


def agent(cap: int) -> OurAgent:
    """An agent that scales them; at its end it leaves them."""
    environ = {"MSS_SCHEDULER": "COMPOSE", "MSS_CONFIG": "SERVICES", "MSS_CONFIG_FILE": ""}
    more = {"MSS_COMPOSE_PROJECT": PROJECT, "MSS_MAX_CONTAINERS": str(cap), "MSS_LOG_DEBUG": "mssengine"}
    made = OurAgent([], cap, **environ, **more)
    made.environ["MSS_STATE_DIR"] = str(Path(made.folder.name, "state"))
    return made


def hand_over(witness: Witness, share: float) -> dict[str, float]:
    """8 containers change hands: seconds by the scheduler."""
    case, took = HandOver(), {}
    with HTTPQueue() as queue:
        with OurAgent([queue.app("high", CAP - 1), rest_app("low", CAP)], CAP) as docker:
            took["DOCKER"] = case.measured(docker, queue, witness, share)
        witness.wait(**{f"{MINE}-low": 0, f"{MINE}-high": 0})
        queue.put(0)
        with project(witness, high=queue.labels(CAP - 1), low=labels(2, CAP)), agent(CAP) as compose:
            took["ours"] = case.measured(compose, queue, witness, share)
    return took


def up_and_down(witness: Witness, share: float) -> dict[str, tuple[float, float]]:
    """1 to 33, and back: seconds by the scheduler."""
    case, took = UpAndDown(), {}
    with HTTPQueue() as queue:
        with OurAgent([queue.app("many", MANY)], MANY) as docker:
            took["DOCKER"] = case.measured(docker, queue, witness, share)
        witness.wait(**{f"{MINE}-many": 0})
        with project(witness, many=queue.labels(MANY)), agent(MANY) as compose:
            took["ours"] = case.measured(compose, queue, witness, share)
    return took


def _run(command: list[str]) -> None:
    containers.run(command, {**os.environ, "COMPOSE_PARALLEL_LIMIT": "64"})
