"""From the `up` of a new Compose service to its first decision on the page, with a real engine and server.

    python -m scripts.bench_services [--rounds 10]

Needs a Docker engine, docker-compose, the image busybox (or microscaling-base/busybox), and the extra
`server`. The time begins with the start of the service's container, by the engine's own clock, as all before
it is Compose's and the engine's work, and ends when a page gets the state with the decision.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import requests

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "mss-bench-services"
IMAGES = ("microscaling-base/busybox", "busybox:stable")
USER = "bench"
PATIENCE_S = 60.0
SERVICE = "com.docker.compose.service"


class Moments:
    """The first moment of each thing, in seconds since 1970, as the engine's events are."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._of: dict[str, float] = {}

    def note(self, thing: str, at: float) -> None:
        with self._changed:
            self._of.setdefault(thing, at)
            self._changed.notify_all()

    def of(self, thing: str) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: thing in self._of, PATIENCE_S):
                raise SystemExit(f"waited {PATIENCE_S:g} s in vain for: {thing}")
            return self._of[thing]


def note_starts(client: docker.APIClient, moments: Moments) -> None:
    """Notes the start of each service's first container, until the client is closed."""
    chosen = {"label": f"com.docker.compose.project={PROJECT}", "event": "start"}
    with contextlib.suppress(Exception):
        for event in client.events(filters=chosen, decode=True):
            moments.note(f"start {event['Actor']['Attributes'][SERVICE]}", event["timeNano"] / 1e9)


def note_decisions(url: str, moments: Moments) -> None:
    """Notes the first state on the page in which a service is to have its minimum, 2; Compose has made 1."""
    with contextlib.suppress(requests.exceptions.RequestException):
        answer = requests.get(f"{url}live?user={USER}", stream=True, timeout=PATIENCE_S)
        for line in answer.iter_lines(chunk_size=1):
            if not line.startswith(b"data: {"):
                continue
            for task in json.loads(line.removeprefix(b"data: ")).get("tasks", ()):
                if task["reported"] and task["demand"] == 2:
                    moments.note(f"decision {task['app']}", time.time())


@contextlib.contextmanager
def running(*words: str, **environ: str) -> Iterator[Path]:
    """Runs microscaling, and stops it at the end; gives its log."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MSS_")}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        environ = {"MSS_STATE_DIR": folder, "MSS_SERVER_STORE": f"{folder}/server.db", **environ}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "microscaling", *words], cwd=ROOT, env=kept | environ, stderr=file
            )
        try:
            yield log
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def url_in(log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := re.search(r"http://\S+:\d+/$", log.read_text(), re.MULTILINE):
            return found[0]
        time.sleep(0.05)
    raise SystemExit(f"the server does not start: {log.read_text()}")


def compose(folder: Path, services: dict[str, Any], *words: str) -> None:
    file = folder / "docker-compose.yml"
    file.write_text(json.dumps({"version": "3.8", "services": services}))  # JSON is YAML
    subprocess.run(
        ["docker-compose", "-p", PROJECT, "-f", str(file), *words], check=True, capture_output=True
    )


def service(image: str) -> dict[str, Any]:
    labels = {"microscaling.enable": "true", "microscaling.min": "2", "microscaling.max": "2",
              "microscaling.priority": "1"}  # fmt: skip
    return {"image": image, "command": "sleep 3600", "init": True, "labels": labels}


def measure(rounds: int) -> list[float]:
    """Returns the seconds of each round."""
    client, events = docker.APIClient(version="auto"), docker.APIClient(version="auto")
    image = next((name for name in IMAGES if client.images(name, quiet=True)), "")
    if not image:
        raise SystemExit(f"the image {IMAGES[0]} is missing: run scripts/base-images")
    moments, services = Moments(), {}
    threading.Thread(target=note_starts, args=(events, moments), daemon=True).start()
    with tempfile.TemporaryDirectory() as name, running("server", MSS_SERVER_ADDRESS="127.0.0.1:0") as log:
        folder, url = Path(name), url_in(log)
        threading.Thread(target=note_decisions, args=(url, moments), daemon=True).start()
        agent = {
            "MSS_SCHEDULER": "COMPOSE", "MSS_COMPOSE_PROJECT": PROJECT, "MSS_MAX_CONTAINERS": str(2 * rounds),
            "MSS_API_ADDRESS": url.split("/")[2], "MSS_USER_ID": USER,
        }  # fmt: skip
        took = []
        try:
            with running(**agent):
                for number in range(rounds):
                    services[f"s{number}"] = service(image)
                    compose(folder, services, "up", "-d", f"s{number}")
                    took.append(moments.of(f"decision s{number}") - moments.of(f"start s{number}"))
                    print(f"s{number}: {took[-1]:.2f} s", flush=True)
                    time.sleep(0.37 * (number % 5))  # so that each falls at another part of a beat
        finally:
            compose(folder, services, "down", "-t", "1", "--remove-orphans")
    events.close()
    client.close()
    return took


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=10)
    took = measure(parser.parse_args().rounds)
    print(
        f"from a new service to its first decision on the page: median {statistics.median(took):.2f} s, "
        f"longest {max(took):.2f} s of {len(took)}"
    )


if __name__ == "__main__":
    main()
