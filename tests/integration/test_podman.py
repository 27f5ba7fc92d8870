"""The agent on a real Podman, which answers as Docker does but for what is tried here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from microscaling.clients.docker.compose import COPY_OF
from microscaling.demand.task import Task
from microscaling.scheduler.docker.backend import DockerBackend
from tests.integration import engines
from tests.integration.agents import AgentProcess, Queues, Witness, app, queue_app, wait_for
from tests.integration.composes import podman_compose, project_on
from tests.integration.podman import OwnPodman, started


@pytest.fixture(scope="module")
def podman() -> Iterator[OwnPodman]:
    with started() as own:
        yield own


@pytest.fixture
def client(podman: OwnPodman) -> Iterator[APIClient]:
    client = engines.connect(podman.host)
    yield client
    engines.remove(client, engines.ours(client))
    client.close()


@pytest.fixture
def witness(client: APIClient, prefix: str) -> Witness:
    return Witness(client, prefix)


@pytest.fixture
def queues(tmp_path: Path) -> Queues:
    return Queues(tmp_path)


def test_what_is_killed_or_removed_is_replaced_by_the_word_of_the_event_stream(
    tmp_path: Path, prefix: str, witness: Witness, client: APIClient, podman: OwnPodman
) -> None:
    with AgentProcess(tmp_path, [app(f"{prefix}a", 1)], cap=4, DOCKER_HOST=podman.host) as agent:
        witness.wait(a=4)
        killed, removed = witness.running()[:2]
        client.kill(killed)
        wait_for(lambda: noticed(agent, killed), "for the end of the one that is killed")
        client.remove_container(removed, force=True)
        wait_for(lambda: noticed(agent, removed), "for the end of the one that is removed")
        wait_for(lambda: not {killed, removed} & set(witness.left()), "for both to be gone")
        witness.wait(a=4)
        time.sleep(12)
        assert "event stream" not in agent.log()
        assert agent.stop() == 0
    assert not witness.left()


def noticed(agent: AgentProcess, id: str) -> bool:
    """By an event, or by a listing just before it. That the event comes, too, is shown by the stream: it is
    not opened anew."""
    ends = ("exited with code 137", "had ended with code 137", "had been removed")
    return any(f"container {id[:12]} {end}" in agent.log() for end in ends)


def test_what_exits_at_once_backs_off(
    tmp_path: Path, prefix: str, witness: Witness, podman: OwnPodman
) -> None:
    apps = [app(f"{prefix}bad", 1, "mss-test/exits"), app(f"{prefix}b", 2)]
    with AgentProcess(tmp_path, apps, cap=4, DOCKER_HOST=podman.host) as agent:
        agent.says("backing off, next try in 2 s")
        witness.wait(bad=0, b=4)
        agent.says("cannot start: no database")
        agent.says("with code 3")
        assert agent.stop() == 0
    assert not witness.left()


def test_a_paused_one_stands_in_nobodys_way(
    tmp_path: Path, prefix: str, witness: Witness, client: APIClient, queues: Queues, podman: OwnPodman
) -> None:
    """Podman refuses to stop it; at the end it goes by force."""
    apps = [queue_app(f"{prefix}web", 1, queues, maxContainers=6), app(f"{prefix}batch", 2)]
    with AgentProcess(tmp_path, apps, cap=6, DOCKER_HOST=podman.host) as agent:
        witness.wait(web=1, batch=5)
        frozen = witness.running(f"{prefix}batch")[-1]
        client.pause(frozen)
        agent.says(f"container {frozen[:12]} is paused from outside")
        queues.put(f"{prefix}web", 1000)
        witness.wait(web=4, batch=1)
        assert frozen in witness.left()
        assert agent.stop() == 0
    assert not witness.left()


def test_a_name_that_another_container_has_is_left_out(
    client: APIClient, prefix: str, podman: OwnPodman
) -> None:
    task = Task(f"{prefix}a", image=engines.BUSYBOX, network_mode="none")
    foreign = client.create_container(engines.BUSYBOX, name=f"{prefix}a-1")["Id"]
    backend = DockerBackend(podman.host, pull_images=False)
    try:
        id = backend.create(task, "n1")
        assert client.inspect_container(id)["Name"].removeprefix("/") == f"{prefix}a-2"
    finally:
        client.remove_container(foreign)
        backend.close()


def test_services_of_podman_compose(podman: OwnPodman, tmp_path: Path) -> None:
    """It knows its containers by their names, so `down` leaves copies, which the agent removes then."""
    with project_on(podman.host, podman_compose(podman), tmp_path) as project:
        project.web(labels={"microscaling.min": "1"}, environment={"VERSION": "1"}, networks=["back"])
        project.run("up", "-d")

        def versions() -> list[str]:
            return project.environments("VERSION")

        with project.agent() as agent:
            wait_for(lambda: versions() == ["VERSION=1"] * 4, "for three copies")
            names = {one["Names"][0].lstrip("/") for one in project.containers().values()}
            assert names == {project.name_of(f"web_{number}") for number in range(1, 5)}
            copy = project.inspected("web_2")
            assert copy["Config"]["Labels"][COPY_OF] == project.inspected("web_1")["Id"]
            assert f"{project.name}_back" in copy["NetworkSettings"]["Networks"]
            project.run("up", "-d")
            project.web(labels={"microscaling.min": "1"}, environment={"VERSION": "2"}, networks=["back"])
            project.run("up", "-d")
            wait_for(lambda: versions() == ["VERSION=2"] * 4, "for copies of the new configuration")
            project.run("stop")
            wait_for(lambda: set(project.containers()) == {"web_1"}, "for the copies to go")
            assert versions() == []
            project.run("start")
            wait_for(lambda: versions() == ["VERSION=2"] * 4, "for the service to go on")
            project.run("down")
            wait_for(lambda: not project.containers(), "for the copies to go")
            assert agent.stop() == 0
