"""The Docker engine as the witness: what ran when, by its own events; and the floor it allows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

LABEL = "com.microscaling.microscaling-in-a-box"
MINE = "bench"
IMAGE = "microscaling/priority-1"
"""Its process obeys SIGTERM; `sleep` as PID 1 does not."""
STARTERS = 8
ROOT = Path(__file__).parents[2]


def connect(timeout_s: int = 60) -> docker.APIClient:
    """A client of the engine of DOCKER_HOST, by default that of this machine."""
    host = os.environ.get("DOCKER_HOST")
    return docker.APIClient(host, version="auto", timeout=timeout_s, max_pool_size=80)


def make_image(client: docker.APIClient) -> None:
    """Builds the image of the containers that are counted, where it is missing; exits with what is wrong."""
    if client.images(name=IMAGE, quiet=True):
        return
    # Compose knows from .env which base there is, as on machines that can pull none.
    command = ["docker-compose", "--profile", "go", "build", "priority-1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: {IMAGE} is missing, and `{' '.join(command)}` failed: {done.stderr.strip()[-600:]}")


class Witness:
    """Follows the engine's events: how many containers of each name run, and when that last changed.

    The name is the value of our label, of Compose's service label, or of Swarm's service name.
    """

    LABELS = (LABEL, "com.docker.compose.service", "com.docker.swarm.service.name")

    def __init__(self, client: docker.APIClient) -> None:
        self.client = client
        self.running: dict[str, set[str]] = {}
        self.most = 0
        self.changed = threading.Condition()
        self.at = 0.0
        self._stream = client.events(
            filters={"type": "container", "event": ["start", "die", "pause", "unpause"]}, decode=True
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        for event in self._stream:
            attributes = event["Actor"]["Attributes"]
            name = next((attributes[label] for label in self.LABELS if label in attributes), "")
            with self.changed:
                running = self.running.setdefault(name, set())
                (running.add if event["Action"] in ("start", "unpause") else running.discard)(
                    event["Actor"]["ID"]
                )
                self.at = event["timeNano"] / 1e9
                self.most = max(self.most, self._mine())
                self.changed.notify_all()

    def wait(self, within_s: float = 120.0, **counts: int) -> float:
        """Until exactly so many of each name run; returns the engine's time (seconds) of the last change."""
        with self.changed:
            if not self.changed.wait_for(lambda: self._are(counts), within_s):
                raise TimeoutError(f"waited for {counts}, there are {self._counts()}")
            return self.at

    def fresh(self) -> None:
        """Forgets the most that ran."""
        with self.changed:
            self.most = self._mine()

    def close(self) -> None:
        self._stream.close()
        self._thread.join()

    def _mine(self) -> int:
        """How many of ours run: there may be others on this engine."""
        return sum(len(ids) for name, ids in self.running.items() if name.startswith(MINE))

    def _are(self, counts: dict[str, int]) -> bool:
        return all(len(self.running.get(name, ())) == count for name, count in counts.items())

    def _counts(self) -> dict[str, int]:
        return {name: len(ids) for name, ids in self.running.items()}


def parallel(work: Callable[[Any], object], items: Iterable[Any], threads: int) -> list[Any]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


class Floor:
    """The engine alone, driven by the barest client: parallel calls, the cap kept, nothing decided."""

    def __init__(self, client: docker.APIClient) -> None:
        self.client = client

    def create(self, name: str) -> str:
        config = {"Image": IMAGE, "Labels": {LABEL: f"{MINE}-{name}"}, "HostConfig": {"NetworkMode": "host"}}
        return str(self.client.create_container_from_config(config)["Id"])

    def start(self, name: str, count: int) -> list[str]:
        def one(_: int) -> str:
            id = self.create(name)
            self.client.start(id)
            return id

        return parallel(one, range(count), STARTERS)

    def stop(self, ids: list[str]) -> None:
        parallel(lambda id: self.client.stop(id, timeout=1), ids, max(1, len(ids)))

    def remove(self, ids: list[str]) -> None:
        parallel(lambda id: self.client.remove_container(id, v=True, force=True), ids, STARTERS)


def clean(client: docker.APIClient) -> None:
    """Removes what benchmarks have left."""
    for container in client.containers(all=True, filters={"label": LABEL}):
        if container["Labels"][LABEL].startswith(MINE):
            client.remove_container(container["Id"], v=True, force=True)


def now() -> float:
    """The engine's clock, which is this machine's: seconds."""
    return time.time()


def show(data: object) -> str:
    return json.dumps(data, indent=2, sort_keys=True)
