"""examples/compose, by the commands of docs/compose.md, with a real Redis and a real worker."""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from tests.integration import composes, engines
from tests.integration.engines import give_up
from tests.pages import DOCS, ROOT, blocks_of

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
    """The example as a project of its own name, at `engine`.

    Of a version of Compose that cannot build here, it runs the file that the page shows, which has other
    images in place of what builds them.
    """

    def __init__(self, engine: APIClient, compose: composes.Compose, folder: Path) -> None:
        self.engine = engine
        self.compose = compose
        self.file = FILE
        self.name = f"t{uuid.uuid4().hex[:6]}"
        self.environ = {**os.environ, "BUILD_NETWORK": "host"}
        for variable, images in BASES.items():
            there = [image for image in images if engine.images(name=image, quiet=True)]
            self.environ[variable] = (
                there[0] if there else give_up(f"{images[0]} is missing: run scripts/base-images")
            )

        if compose.version in composes.BUILT:
            text = blocks_of(DOCS / "compose.md", "yaml")[0].text
            self.file = folder / "docker-compose.yml"
            self.file.write_text(text.replace("redis:7", self.environ["REDIS_IMAGE"]))

    def build(self) -> None:
        """Makes the images of the example."""
        self._type(composes.compose_of("1.29").command, FILE, "build")

    def run(self, *words: str) -> str:
        """Types a command of Compose; returns what it says."""
        words = ("exec", "-T", *words[1:]) if words[0] == "exec" else words  # there is no terminal
        if self.file != FILE:
            words = tuple(word for word in words if word != "--build")
        return self._type(self.compose.command, self.file, *words)

    def _type(self, command: str, file: Path, *words: str) -> str:
        done = subprocess.run(
            [command, "-p", self.name, "-f", str(file), *words], cwd=FILE.parent, env=self.environ,
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return re.sub("\x1b\\[[0-9;]*m", "", done.stdout)

    def workers(self, **more: Any) -> set[int]:
        """The numbers of the workers that run."""
        return set(self.ids(**more).values())

    def ids(self, **more: Any) -> dict[str, int]:
        """The workers that run: numbers by id."""
        of = "com.docker.compose"
        labels = [f"{of}.project={self.name}", f"{of}.service=worker"]
        found = self.engine.containers(filters={"label": labels}, **more)
        return {one["Id"]: int(one["Labels"][f"{of}.container-number"]) for one in found}

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


@pytest.fixture(params=[composes.USUAL, *composes.OTHERS])
def example(request: pytest.FixtureRequest, host: str, tmp_path: Path) -> Iterator[Example]:
    compose = composes.compose_of(request.param)
    with engines.client_with_images(host) as engine:
        made = Example(engine, compose, tmp_path)
        yield made
        made.run("down", "--volumes", "--remove-orphans")


MORE = "50000"
"""Jobs for longer than anything here takes on a busy machine."""
FORGET = (
    "import socket; r = socket.create_connection(('redis', 6379)); r.sendall(b'DEL jobs\\r\\n'); r.recv(9)"
)


def test_from_one_worker_to_eight_and_back_as_the_page_says(example: Example) -> None:
    up, add, ps, logs, down = typed()
    example.build()
    example.run(*up)
    example.until(lambda: example.workers() == {1})
    example.run(*add)
    eight = set(range(1, 9))
    example.until(lambda: example.workers() == eight)
    example.run(*add[:-1], MORE)
    names = re.findall(rf"^({example.name}[-_]worker[-_]\d)\s.*\sUp ", example.run(*ps), re.MULTILINE)
    assert len(names) == 8
    done = re.compile(r"^\S*?worker[-_](\d)\s.*job \d+ is done$", re.MULTILINE)
    example.until(lambda: set(map(int, done.findall(example.run("logs", "--tail=9", "worker")))) == eight)
    said = example.run(*logs)
    before = example.ids()
    example.run("restart", "microscaling")
    example.run("up", "-d", "--force-recreate", "--no-deps", "microscaling")
    example.until(lambda: "worker" in example.run(*logs))
    assert example.ids() == before, "the next agent goes on with them"
    example.run("exec", "worker", "python3", "-c", FORGET)
    example.until(lambda: example.workers(all=True) == {1})
    summary = "Queue with target 50 for Redis at redis://redis:6379/0, priority 1: has [01] now"
    assert re.search(f"service worker: {summary}, and will have 1 to 8 containers", said)
    assert re.search(r"worker: \d -> 8 \(", said)
    assert "MSS_STATE_DIR" not in said, "its volume is for the user that it drops to"
    assert "ERROR" not in said
    example.run(*add[:-1], MORE)
    example.until(lambda: example.workers() == eight)
    example.run(*down)  # in the midst of it
    assert example.left() == {"containers": [], "networks": [], "volumes": []}
