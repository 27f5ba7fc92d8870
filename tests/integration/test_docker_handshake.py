"""The handshake of the backend with containers of a real engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from docker import APIClient

from microscaling.demand.container import ContainerOptions
from microscaling.demand.task import Task
from microscaling.demand.warm import Warm
from microscaling.errors import NotReady, PermanentError
from microscaling.scheduler.docker.backend import DockerBackend
from tests.integration import engines
from tests.integration.agents import wait_for

pytestmark = pytest.mark.usefixtures("patient")
SCRIPT = "trap 'exit 0' TERM; trap 'echo cont >>/heard' CONT; mkdir /tmp; while :; do sleep 0.05; done"
STOPS = "sleep 1000 & touch /loaded; kill -STOP $$; touch /works; while :; do sleep 0.05; done"
HEALTH = {"Test": ["CMD-SHELL", "test -e /healthy"], "Interval": 300_000_000, "Retries": 1}


@pytest.fixture
def backend(engine: APIClient) -> Iterator[DockerBackend]:
    with contextlib.closing(DockerBackend(engines.host_of_the_machine(), pull_images=False)) as made:
        yield made


@pytest.fixture
def run(backend: DockerBackend, prefix: str) -> Callable[..., tuple[Task, str]]:
    def run(warm: Warm, script: str = SCRIPT, **request: Any) -> tuple[Task, str]:
        task = Task(f"{prefix}warm", image=engines.BUSYBOX, max_containers=4, network_mode="none", warm=warm)
        task.container = ContainerOptions(command=("sh", "-c", script), request=request)
        id = backend.create(task, "n")
        backend.start(id)
        wait_for(lambda: in_it(backend, id, "test -e /tmp -o -e /loaded"))
        return task, id

    return run


def in_it(backend: DockerBackend, id: str, line: str) -> bool:
    client = engines.connect()
    try:
        made = client.exec_create(id, ["sh", "-c", line])["Id"]
        client.exec_start(made)
        return engines.exit_code_of(client, made) == 0
    finally:
        client.close()


def is_ready(backend: DockerBackend, task: Task, id: str) -> bool:
    try:
        backend.check_ready(task, id)
    except NotReady:
        return False
    return True


def test_the_files(backend: DockerBackend, run: Callable[..., tuple[Task, str]]) -> None:
    task, id = run(Warm(1, "/tmp/ready", file="/tmp/go"))
    with pytest.raises(NotReady, match="there is no /tmp/ready in it"):
        backend.check_ready(task, id)
    assert in_it(backend, id, "touch /tmp/ready")
    assert is_ready(backend, task, id)
    for _ in range(2):
        backend.say_go(task, id)
        assert in_it(backend, id, "test -e /tmp/go")
    backend.freeze(id)
    assert backend.memory(id) > 0
    backend.thaw(id)
    backend.stop(id, 5)
    backend.start(id)
    assert not is_ready(backend, task, id), "the file is of its earlier life"
    task.warm = Warm(1, "/tmp/ready", file="/none/go")
    with pytest.raises(PermanentError):
        backend.say_go(task, id)


def test_a_signal(backend: DockerBackend, run: Callable[..., tuple[Task, str]]) -> None:
    task, id = run(Warm(1, "/tmp/ready", signal="CONT"))
    backend.say_go(task, id)
    wait_for(lambda: in_it(backend, id, "test -e /heard"))


def test_health(backend: DockerBackend, run: Callable[..., tuple[Task, str]]) -> None:
    task, id = run(Warm(1, file="/tmp/go"), Healthcheck=HEALTH)
    assert not is_ready(backend, task, id)
    assert in_it(backend, id, "touch /healthy")
    wait_for(lambda: is_ready(backend, task, id))
    blind, other = run(Warm(1, file="/tmp/go"))
    with pytest.raises(NotReady, match="has no health check and no open port"):
        backend.check_ready(blind, other)


def test_a_program_that_stops_itself(backend: DockerBackend, run: Callable[..., tuple[Task, str]]) -> None:
    task, id = run(Warm(1, signal="CONT", stops=True), STOPS, **{"HostConfig.Init": True})
    wait_for(lambda: is_ready(backend, task, id))
    backend.freeze(id)
    backend.thaw(id)
    assert is_ready(backend, task, id), "the end of a pause is no go"
    assert not in_it(backend, id, "test -e /works")
    for _ in range(2):
        backend.say_go(task, id)
    wait_for(lambda: in_it(backend, id, "test -e /works"))
    with pytest.raises(NotReady, match="has not stopped itself"):
        backend.check_ready(task, id)


IN_A_SHELL = "touch /loaded; sh -c 'kill -STOP $$; touch /works'; sleep 9"


@pytest.mark.parametrize(
    "script", [STOPS, STOPS.replace("sleep 1000 & ", ""), IN_A_SHELL], ids=["child", "alone", "shell"]
)
def test_pid_1_cannot_stop_itself(
    backend: DockerBackend, run: Callable[..., tuple[Task, str]], script: str
) -> None:
    """Nor would the signal that is go reach a child of it. The first look says so, whatever runs then."""
    task, id = run(Warm(1, signal="CONT", stops=True), script)
    with pytest.raises(PermanentError, match="its service needs init: true"):
        backend.check_ready(task, id)


def test_one_that_has_just_ended_is_not_ready(
    backend: DockerBackend, run: Callable[..., tuple[Task, str]]
) -> None:
    """And neither is the engine away for it."""
    for warm in (Warm(1, signal="CONT", stops=True), Warm(1, "/tmp/ready", file="/tmp/go"), Warm(1)):
        task, id = run(warm)
        for end in (lambda: backend.stop(id, 0), lambda: backend.remove(id)):  # noqa: B023
            end()
            with pytest.raises(NotReady):
                backend.check_ready(task, id)
