"""docker-compose.yml comes up, scales, and goes down, with base images that were made locally."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from docker import APIClient

from tests.integration import engines
from tests.integration.engines import give_up

ROOT = Path(__file__).parents[2]
PROJECT = "mss-test-compose"
BASES = {
    "BUSYBOX_IMAGE": ("microscaling-base/busybox", "busybox:stable"),
    "PYTHON_IMAGE": ("microscaling-base/python", "python:3.12-slim"),
    "NSQ_IMAGE": ("microscaling-base/nsq", "nsqio/nsq:v1.3.0"),
}


def compose_command() -> list[str]:
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    return give_up("neither docker compose nor docker-compose is here")


@pytest.fixture
def compose(engine: APIClient):
    """Runs a command of Compose on the project, which is taken down afterwards."""
    environ = {**os.environ, "BUILD_NETWORK": "host"}
    for variable, images in BASES.items():
        there = [image for image in images if engine.images(name=image, quiet=True)]
        environ[variable] = there[0] if there else give_up(f"{images[0]} is missing: run scripts/base-images")

    def run(*words: str) -> str:
        command = [*compose_command(), "-p", PROJECT, *words]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    run("down", "--remove-orphans")
    engines.remove(engine, demo_containers(engine))
    yield run
    run("down", "--remove-orphans")
    engines.remove(engine, demo_containers(engine))


def demo_containers(engine: APIClient) -> list[dict]:
    return [c for name in ("consumer", "remainder") for c in engines.ours(engine, name)]


def counts(engine: APIClient) -> tuple[int, ...]:
    """How many run, of the consumer and of the remainder."""
    tasks = [c["Labels"][engines.LABEL] for c in demo_containers(engine) if c["State"] == "running"]
    return tasks.count("consumer"), tasks.count("remainder")


def publish(jobs: int) -> None:
    nsqd = http.client.HTTPConnection("127.0.0.1", 4151, timeout=10)
    nsqd.request("POST", "/mpub?topic=microscaling-demo", body="\n".join(["job"] * jobs))
    assert nsqd.getresponse().status == 200
    nsqd.close()


def until(holds: Callable[[], bool], compose: Callable[..., str], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, compose("logs", "--tail=60")
        time.sleep(0.2)


def test_the_demo_comes_up_scales_and_goes_down(engine: APIClient, compose: Callable[..., str]):
    compose("up", "-d", "--build")
    until(lambda: counts(engine) == (1, 9), compose)
    publish(jobs=150)
    until(lambda: counts(engine) == (9, 1), compose)
    compose("down")
    assert demo_containers(engine) == []
