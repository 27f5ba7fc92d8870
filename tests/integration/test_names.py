"""Names and numbers of a task's containers on a real engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from docker import APIClient

from microscaling.demand.task import Task
from microscaling.scheduler.docker.backend import DockerBackend
from microscaling.scheduler.docker.body import LABEL, NUMBER_LABEL
from tests.integration.agents import AgentProcess, Witness, app, wait_for
from tests.integration.engines import BUSYBOX, ours

HOST = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


@pytest.fixture
def backend() -> Iterator[DockerBackend]:
    made = DockerBackend(HOST, pull_images=False)
    yield made
    made.close()


def names(engine: APIClient, task: str) -> list[str]:
    """Of the containers with the task's label, without its prefix; each ends in the number of its label."""
    found = [c for c in ours(engine, task) if c["Labels"][LABEL] == task]
    for container in found:
        assert container["Names"][0].endswith("-" + container["Labels"].get(NUMBER_LABEL, ""))
    return sorted(container["Names"][0].removeprefix("/") for container in found)


def test_names_and_numbers(engine: APIClient, backend: DockerBackend, prefix: str) -> None:
    name = f"{prefix}a"
    task = Task(name, image=BUSYBOX, network_mode="none")
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda nonce: backend.create(task, nonce), ["n1", "n2", "n3", "n4"]))
    assert names(engine, name) == [f"{name}-{number}" for number in (1, 2, 3, 4)]
    (second,) = (id for id in ids if engine.inspect_container(id)["Name"] == f"/{name}-2")
    backend.remove(second)
    assert engine.inspect_container(backend.create(task, "n5"))["Name"] == f"/{name}-2"


def test_a_name_that_another_container_has_is_left_out(
    engine: APIClient, backend: DockerBackend, prefix: str
) -> None:
    name = f"{prefix}a"
    foreign = engine.create_container(BUSYBOX, name=f"{name}-1")["Id"]
    try:
        id = backend.create(Task(name, image=BUSYBOX, network_mode="none"), "n1")
        assert engine.inspect_container(id)["Name"] == f"/{name}-2"
        assert engine.inspect_container(id)["Config"]["Labels"][NUMBER_LABEL] == "2"
    finally:
        engine.remove_container(foreign)
    # Of another task, the name of which becomes the same.
    other = backend.create(Task(f"{prefix} a", image=BUSYBOX, network_mode="none"), "n2")
    assert engine.inspect_container(other)["Name"] == f"/{prefix}-a-1"


def test_an_agent_adopts_containers_with_and_without_a_number(
    engine: APIClient, prefix: str, tmp_path: Path
) -> None:
    """Those of the Go agent have names that the engine made up; they stay, and numbers begin at 1."""
    task = f"{prefix}a"
    old = engine.create_container("mss-test/sleeper", labels={LABEL: task})["Id"]
    third = engine.create_container(
        "mss-test/sleeper", name=f"{task}-3", labels={LABEL: task, NUMBER_LABEL: "3"}
    )["Id"]
    for id in (old, third):
        engine.start(id)
    witness = Witness(engine, prefix)
    with AgentProcess(tmp_path, [app(task, 1, maxContainers=4)], cap=4):
        witness.wait(a=4)
        found = {c["Id"]: c["Labels"].get(NUMBER_LABEL) for c in ours(engine, task)}
        assert (found.pop(old), found.pop(third)) == (None, "3")
        assert sorted(found.values()) == ["1", "2"]
        # The number of one that is lost is free once it has been removed, so another one may come first.
        lost = next(id for id, number in found.items() if number == "1")
        engine.remove_container(lost, force=True)
        wait_for(
            lambda: (
                sorted(c["Labels"].get(NUMBER_LABEL, "") for c in ours(engine, task))
                in (["", "1", "2", "3"], ["", "2", "3", "4"])
            ),
            "for the one in its place",
        )
