"""docker-compose.yml comes up, scales, is seen on the page's live channel, and goes down, with base images
that were made locally."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from docker import APIClient

from tests.integration import engines
from tests.integration.engines import give_up
from tests.services.service import free_port

ROOT = Path(__file__).parents[2]
PROJECT = "mss-test-compose"
BASES = {
    "BUSYBOX_IMAGE": ("microscaling-base/busybox", "busybox:stable"),
    "PYTHON_IMAGE": ("microscaling-base/python", "python:3.12.13-slim-bookworm"),
    "NSQ_IMAGE": ("microscaling-base/nsq", "nsqio/nsq:v1.3.0"),
}


def compose_command() -> list[str]:
    if subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    return give_up("neither docker compose nor docker-compose is here")


@pytest.fixture(scope="module")
def port() -> str:
    """Of the server, on this machine."""
    return str(free_port())


@pytest.fixture
def compose(engine: APIClient, port: str):
    """Runs a command of Compose on the project, which is taken down afterwards."""
    environ = {**os.environ, "BUILD_NETWORK": "host", "SERVER_PORT": port}
    for variable, images in BASES.items():
        there = [image for image in images if engine.images(name=image, quiet=True)]
        environ[variable] = there[0] if there else give_up(f"{images[0]} is missing: run scripts/base-images")

    def run(*words: str) -> str:
        command = [*compose_command(), "-p", PROJECT, *words]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def down() -> None:
        run("--profile", "go", "--profile", "nsq", "down", "--remove-orphans", "--volumes")

    down()
    engines.remove(engine, demo_containers(engine))
    yield run
    down()
    engines.remove(engine, demo_containers(engine))


def demo_containers(engine: APIClient) -> list[dict]:
    names = ("consumer", "remainder", "priority-1", "priority-2")
    return [c for name in names for c in engines.ours(engine, name)]


def counts(engine: APIClient, *names: str) -> tuple[int, ...]:
    """How many run of each of these tasks."""
    tasks = [c["Labels"][engines.LABEL] for c in demo_containers(engine) if c["State"] == "running"]
    return tuple(tasks.count(name) for name in names)


def publish(jobs: int, compose: Callable[..., str]) -> None:
    until(lambda: answers("http://127.0.0.1:4151/ping"), compose)  # Compose does not wait for nsqd itself
    nsqd = http.client.HTTPConnection("127.0.0.1", 4151, timeout=10)
    nsqd.request("POST", "/mpub?topic=microscaling-demo", body="\n".join(["job"] * jobs))
    assert nsqd.getresponse().status == 200
    nsqd.close()


def until(holds: Callable[[], Any], compose: Callable[..., str], timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < deadline, compose("logs", "--tail=60")
        time.sleep(0.2)
    return found


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:  # a busy one may take longer than that
        return False


def states(port: str, user: str, timeout_s: float = 90) -> Iterator[dict[str, Any]]:
    """What the page is sent of a user, as it comes."""
    deadline = time.monotonic() + timeout_s
    with requests.get(f"http://127.0.0.1:{port}/live?user={user}", stream=True, timeout=60) as answer:
        event = ""
        for line in answer.iter_lines(chunk_size=1):
            assert time.monotonic() < deadline, "waited in vain"
            if line.startswith(b"event: "):
                event = line.removeprefix(b"event: ").decode()
            elif line.startswith(b"data: ") and event == "state":
                yield json.loads(line.removeprefix(b"data: "))


def healths(engine: APIClient) -> dict[str, str]:
    """What the engine says of each service of the project that has a health check."""
    found = {}
    for container in engine.containers(filters={"label": f"com.docker.compose.project={PROJECT}"}):
        health = engine.inspect_container(container["Id"])["State"].get("Health")
        if health:
            found[container["Labels"]["com.docker.compose.service"]] = health["Status"]
    return found


def running(state: dict[str, Any]) -> dict[str, int]:
    return {task["app"]: task["running"] for task in state["tasks"] if task["reported"]}


def of_service(engine: APIClient, service: str) -> int:
    """How many containers of a service of the file run."""
    of = "com.docker.compose"
    labels = [f"{of}.project={PROJECT}", f"{of}.service={service}"]
    return len(engine.containers(filters={"label": labels}))


def test_two_services_of_the_file_share_ten_containers(
    engine: APIClient, compose: Callable[..., str], port: str
) -> None:
    compose("up", "-d", "--build")
    until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), compose)
    assert "<title>Microscaling</title>" in requests.get(f"http://127.0.0.1:{port}/", timeout=10).text
    publish(200, compose)
    until(lambda: (of_service(engine, "checkout"), of_service(engine, "batch")) == (9, 1), compose)
    shown = next(state for state in states(port, "compose") if running(state) == {"checkout": 9, "batch": 1})
    assert shown["cap"] == 10
    until(lambda: healths(engine) == {"server": "healthy", "microscaling": "healthy"}, compose)
    compose("down")
    assert engine.containers(all=True, filters={"label": f"com.docker.compose.project={PROJECT}"}) == []


def test_from_nothing_to_what_moves_on_the_page(
    engine: APIClient, compose: Callable[..., str], port: str
) -> None:
    compose("--profile", "go", "up", "-d", "--build", "agent")
    until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), compose)
    seen: set[int] = set()
    for state in states(port, "5k5gk"):
        shown = running(state)
        assert sum(shown.values()) <= state["cap"] == 10
        if shown.keys() == {"priority-1", "priority-2"} and sum(shown.values()) == 10:
            seen.add(shown["priority-1"])
        if len(seen) > 2:
            break
    # Some may be changing hands, and on a busy machine many.
    until(lambda: sum(counts(engine, "priority-1", "priority-2")) in (8, 9, 10), compose)
    until(lambda: healths(engine) == {"server": "healthy", "agent": "healthy"}, compose)
    compose("--profile", "go", "down")
    assert demo_containers(engine) == []


def test_by_the_length_of_a_real_queue(engine: APIClient, compose: Callable[..., str], port: str) -> None:
    compose("--profile", "nsq", "up", "-d", "--build", "nsq")
    until(lambda: counts(engine, "consumer", "remainder") == (1, 9), compose)
    publish(150, compose)
    until(lambda: counts(engine, "consumer", "remainder") == (9, 1), compose)
    shown = next(state for state in states(port, "nsq") if running(state) == {"consumer": 9, "remainder": 1})
    assert shown["agents"]["shown"][0]["engine"] == "LOCAL"
    compose("--profile", "nsq", "down")
    assert demo_containers(engine) == []
