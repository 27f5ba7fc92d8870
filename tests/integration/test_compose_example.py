"""examples/compose, by the commands of docs/compose.md, with a real Redis and a real worker."""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from docker import APIClient

from tests.integration import test_compose_copies
from tests.integration.engines import give_up
from tests.integration.test_compose import compose_command
from tests.pages import DOCS, ROOT, blocks_of

engine = test_compose_copies.engine
FILE = ROOT / "examples" / "compose" / "docker-compose.yml"
BASES = {
    "PYTHON_IMAGE": ("microscaling-base/python", "python:3.12.13-slim-bookworm"),
    "REDIS_IMAGE": ("microscaling-base/redis", "redis:7"),
}
PATIENCE_S = 120.0


def typed() -> list[list[str]]:
    """The commands of the page, without the change of the folder and `docker compose`."""
    (block,) = blocks_of(DOCS / "compose.md", "sh")
    change, *lines = block.text.splitlines()
    assert ROOT / change.removeprefix("cd ") == FILE.parent
    assert all(line.startswith("docker compose ") for line in lines)
    return [line.split()[2:] for line in lines]


class Example:
    """The example as a project of its own name, at `engine`."""

    def __init__(self, engine: APIClient) -> None:
        self.engine = engine
        self.name = f"t{uuid.uuid4().hex[:6]}"
        self.environ = {**os.environ, "BUILD_NETWORK": "host"}
        for variable, images in BASES.items():
            there = [image for image in images if engine.images(name=image, quiet=True)]
            self.environ[variable] = (
                there[0] if there else give_up(f"{images[0]} is missing: run scripts/base-images")
            )

    def run(self, *words: str) -> str:
        """Types a command of Compose; returns what it says."""
        words = ("exec", "-T", *words[1:]) if words[0] == "exec" else words  # there is no terminal
        done = subprocess.run(
            [*compose_command(), "-p", self.name, *words], cwd=FILE.parent, env=self.environ,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return re.sub("\x1b\\[[0-9;]*m", "", done.stdout)

    def workers(self, **more: Any) -> set[int]:
        """The numbers of the workers that run."""
        of = "com.docker.compose"
        labels = [f"{of}.project={self.name}", f"{of}.service=worker"]
        found = self.engine.containers(filters={"label": labels}, **more)
        return {int(one["Labels"][f"{of}.container-number"]) for one in found}

    def until(self, holds: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, self.run("logs", "--tail=60")
            time.sleep(0.1)

    def left(self) -> dict[str, list[Any]]:
        """What is there of the project."""
        mine = {"label": f"com.docker.compose.project={self.name}"}
        return {
            "containers": self.engine.containers(all=True, filters=mine),
            "networks": self.engine.networks(filters=mine),
            "volumes": self.engine.volumes(filters=mine)["Volumes"] or [],
        }


@pytest.fixture
def example(engine: APIClient) -> Iterator[Example]:
    made = Example(engine)
    yield made
    made.run("down", "--volumes", "--remove-orphans")


MORE = "50000"
"""Jobs for longer than anything here takes on a busy machine."""
FORGET = (
    "import socket; r = socket.create_connection(('redis', 6379)); r.sendall(b'DEL jobs\\r\\n'); r.recv(9)"
)


def test_from_one_worker_to_eight_and_back_as_the_page_says(example: Example) -> None:
    up, add, ps, logs, down = typed()
    example.run(*up)
    assert example.workers() == {1}
    example.run(*add)
    eight = set(range(1, 9))
    example.until(lambda: example.workers() == eight)
    example.run(*add[:-1], MORE)
    names = re.findall(rf"^({example.name}[-_]worker[-_]\d) .* Up ", example.run(*ps), re.MULTILINE)
    assert len(names) == 8
    done = re.compile(r"^\S*?worker[-_](\d)\s.*job \d+ is done$", re.MULTILINE)
    example.until(lambda: set(map(int, done.findall(example.run("logs", "--tail=9", "worker")))) == eight)
    example.run("exec", "worker", "python3", "-c", FORGET)
    example.until(lambda: example.workers(all=True) == {1})
    said = example.run(*logs)
    summary = "Queue with target 50 for Redis at redis://redis:6379/0, priority 1: has 1 now"
    assert f"service worker: {summary}, and will have 1 to 8 containers" in said
    assert re.search(r"worker: \d -> 8 \(", said)
    assert "MSS_STATE_DIR" not in said, "its volume is for the user that it drops to"
    assert "ERROR" not in said
    example.run(*add[:-1], MORE)
    example.until(lambda: example.workers() == eight)
    example.run(*down)  # in the midst of it
    assert example.left() == {"containers": [], "networks": [], "volumes": []}
