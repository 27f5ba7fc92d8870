"""Services that can have few containers, and what an agent says of services, on a real engine."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from docker import APIClient

from tests.integration import composes
from tests.integration.agents import wait_for
from tests.integration.composes import SLEEPER, Project
from tests.services.numbers import Numbers

engine, project = composes.engine, composes.project


@pytest.fixture
def numbers() -> Iterator[Numbers]:
    with Numbers() as numbers:
        yield numbers


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nothing listens at."""
    for first in range(18100, 19000, count):
        with contextlib.suppress(OSError), contextlib.ExitStack() as taken:
            for port in range(first, first + count):
                taken.enter_context(socket.create_server(("0.0.0.0", port)))
            return first
    raise AssertionError("no ports are free")


def states(project: Project) -> dict[str, str]:
    return {name: one["State"] for name, one in project.containers().items()}


ONLY_ONE = {
    "fixed": "port 80/tcp has port {port} of the host, which only one can have: publish a range of ports",
    "named": "it has a container_name, which only one container can have: leave that out",
    "address": "it has a fixed address in the network {project}_back: leave that out",
    "shared": "it has the network of another container (network_mode: service:...): give it `networks`",
}


def test_services_that_can_have_one_container_go_to_none_and_back(project: Project, numbers: Numbers) -> None:
    port = free_ports(1)
    project.networks["back"] = {"ipam": {"config": [{"subnet": "10.213.77.0/24"}]}}
    more: dict[str, dict[str, Any]] = {
        "fixed": {"ports": [f"127.0.0.1:{port}:80"]},
        "named": {"container_name": f"{project.name}_own"},
        "address": {"networks": {"back": {"ipv4_address": "10.213.77.9"}}},
        "shared": {"network_mode": "service:plain"},
        "plain": {},
    }
    for name, words in more.items():
        labels = {} if name == "plain" else numbers.labels(name, 0, min="0", max="3")
        project.services[name] = {"image": SLEEPER, "labels": labels, **words}
    project.run("up", "-d")
    there = set(states(project))
    assert len(there) == 5
    with project.agent() as agent:
        for name, why in ONLY_ONE.items():
            agent.says(
                f"service {name} cannot have 3 containers, but 1: "
                + ("its " if name == "fixed" else "")
                + why.format(port=port, project=project.name)
            )
        none = {name: "running" if name == "plain_1" else "exited" for name in there}
        wait_for(lambda: states(project) == none, "for all four to stop")
        numbers.counts = dict.fromkeys(more, 5)
        wait_for(lambda: states(project) == dict.fromkeys(there, "running"), "for each of them to start")
        numbers.counts = dict.fromkeys(more, 0)
        wait_for(lambda: states(project) == none, "for all four to stop again")
        assert agent.stop() == 0
    project.run("down")
    assert project.containers() == {}


def test_a_range_of_ports_is_the_most_that_can_run(project: Project) -> None:
    first = free_ports(3)
    labels = {"microscaling.max": "8", "microscaling.priority": "1"}
    project.web(labels=labels, ports=[f"127.0.0.1:{first}-{first + 2}:80"])
    rest = {"microscaling.enable": "true", "microscaling.max": "9", "microscaling.priority": "2"}
    project.services["rest"] = {"image": SLEEPER, "labels": rest}
    project.run("up", "-d")
    with project.agent(cap=7) as agent:
        agent.says("service web cannot have 8 containers, but 3: its port 80/tcp has 3 ports of the host")
        # Its share of what it cannot have goes to the other.
        names = {f"web_{n}" for n in (1, 2, 3)} | {f"rest_{n}" for n in (1, 2, 3, 4)}
        wait_for(lambda: set(project.containers(running=True)) == names, "for 3 and 4")
        assert agent.stop() == 0
        assert "could not be" not in agent.log()
    bound = {
        port["PublicPort"] for one in project.containers().values() for port in one["Ports"] if "IP" in port
    }
    assert bound == {first, first + 1, first + 2}


def test_what_the_engine_removes_at_its_end_is_left_alone(engine: APIClient, project: Project) -> None:
    """Compose makes no such container but for `run --rm`, whose label says that it is none of a service."""
    of = "com.docker.compose."
    labels = {"microscaling.enable": "true", "microscaling.max": "3", f"{of}project": project.name,
              f"{of}service": "brief", f"{of}oneoff": "False", f"{of}container-number": "1"}  # fmt: skip
    host = engine.create_host_config(auto_remove=True)
    made = engine.create_container(SLEEPER, name=f"{project.name}_brief_1", labels=labels, host_config=host)
    engine.start(made["Id"])
    project.web(labels={"microscaling.max": "2"})
    project.run("up", "-d", "--scale", "web=1")
    with project.agent() as agent:
        agent.says("service brief: the engine removes its containers as soon as they end (AutoRemove)")
        agent.says("service brief is left alone")
        wait_for(lambda: len(project.containers(running=True)) == 3, "for a copy of web")
        assert agent.stop() == 0
    assert set(project.containers(running=True)) == {"web_1", "web_2", "brief_1"}


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(project: Project) -> None:
    project.web(labels={"microscaling.priority": "1"})
    labels = {"microscaling.enable": "true", "microscaling.max": "9", "microscaling.priority": "2"}
    project.services["batch"] = {"image": SLEEPER, "labels": labels}
    project.run("up", "-d", "--scale", "batch=2")
    project.run("run", "-d", "batch")  # a one-off is no container of the service
    before = {name: one["Id"] for name, one in project.containers(running=True).items()}
    inspected = {id: project.engine.inspect_container(id) for id in before.values()}
    with project.agent(cap=6, MSS_DRY_RUN="true") as agent:
        agent.says("service web: Remainder, priority 1: has 1 now, and will have 0 to 4 containers")
        agent.says("service batch: Remainder, priority 2: has 2 now, and will have 0 to 9 containers")
        agent.says("dry run: would start 3 of web (1 -> 4)")
        assert agent.stop() == 0
        assert "would prepare" not in agent.log()
    assert {name: one["Id"] for name, one in project.containers(running=True).items()} == before
    assert {id: project.engine.inspect_container(id) for id in inspected} == inspected
    assert not project.state.exists()


def test_a_password_in_a_label_is_masked_wherever_the_agent_speaks(project: Project) -> None:
    labels = {"microscaling.enable": "true", "microscaling.max": "2", "microscaling.rule": "Queue",
              "microscaling.target": "5", "microscaling.metric": "Redis", "microscaling.metric.key": "jobs",
              "microscaling.metric.url": "redis://:hunter2secret@127.0.0.1:1/0"}  # fmt: skip
    project.services["web"] = {"image": SLEEPER, "labels": labels}
    bad = labels | {"microscaling.metric.url": "redis://:hunter2secret@[::1/0"}
    project.services["bad"] = {"image": SLEEPER, "labels": bad}
    project.run("up", "-d")
    health = project.file.parent / "health.json"
    with project.agent(MSS_HEALTH_FILE=str(health)) as agent:
        agent.says("service web: microscaling.metric.url: holds a password, which `docker inspect` shows")
        agent.says("service bad is left alone until its labels are right")
        agent.says("held")
        wait_for(lambda: health.exists() and "web" in health.read_text(), "for its health")
        shown = health.read_text()
        assert agent.stop() == 0
        assert "hunter2secret" not in agent.log() + shown
