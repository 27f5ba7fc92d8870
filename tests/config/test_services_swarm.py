"""Which services of a Swarm are tasks, and how many of their containers its nodes have room for."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from microscaling import factory
from microscaling.clients.docker.swarm import SwarmNode
from microscaling.config.services.catalogue import Catalogue
from microscaling.config.services.cluster import Reserved, cap_of
from microscaling.config.services.swarm import SwarmDiscovery, problems_in_swarm, problems_outside_swarms
from microscaling.errors import ConfigError
from microscaling.settings import Settings

GIB = 2**30


class Manager:
    """Answers as a manager of a swarm does."""

    def __init__(self) -> None:
        self.services: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.closed = False

    def serve(self, name: str, cpus: float = 0, labels: dict[str, str] | None = None, **spec: Any) -> None:
        own = {"microscaling.enable": "true", "microscaling.max": "3"} if labels is None else labels
        template = {"ContainerSpec": {}, "Resources": {"Reservations": {"NanoCPUs": int(cpus * 1e9)}}}
        body = {
            "Name": name, "Labels": own, "TaskTemplate": template,
            "Mode": {"Replicated": {"Replicas": 2}}, **spec,
        }  # fmt: skip
        self.services.append({"ID": f"id-{name}", "Version": {"Index": 1}, "Spec": body})

    def node(self, id: str, cpus: int, state: str = "ready", availability: str = "active") -> None:
        self.nodes.append(
            {
                "ID": id, "Status": {"State": state}, "Spec": {"Availability": availability},
                "Description": {"Resources": {"NanoCPUs": cpus * 10**9, "MemoryBytes": 8 * GIB}},
            }
        )  # fmt: skip

    def task(self, service: str, node: str, cpus: float) -> None:
        spec = {"Resources": {"Reservations": {"NanoCPUs": int(cpus * 1e9)}}}
        self.tasks.append({"ServiceID": f"id-{service}", "NodeID": node, "Spec": spec})

    def listed(self, path: str, until: float, **query: str) -> list[Any]:
        return {"/services": self.services, "/nodes": self.nodes, "/tasks": self.tasks}[path]

    def close(self) -> None:
        self.closed = True


def found(manager: Manager, by_nodes: bool = False) -> SwarmDiscovery:
    return SwarmDiscovery(lambda: manager, by_nodes)  # type: ignore[arg-type,return-value]


def test_labels_of_the_service_count_and_those_of_its_containers_are_pointed_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = Manager()
    manager.serve("web", labels={"microscaling.enable": "true", "microscaling.max": "3", "other": "x"})
    of_containers = {"ContainerSpec": {"Labels": {"microscaling.enable": "true"}}}
    manager.serve("hidden", labels={}, TaskTemplate=of_containers)
    manager.serve("db", labels={})
    discovery = found(manager)
    for _ in range(2):
        (web,) = discovery.services()
        assert (web.name, web.running, web.refusal) == ("web", 2, "")
        assert dict(web.labels) == {"microscaling.enable": "true", "microscaling.max": "3"}
    (said,) = caplog.messages
    assert "service hidden: microscaling.enable is a label of its containers" in said
    discovery.close()
    assert manager.closed


def test_what_cannot_be_scaled_is_left_alone_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    manager = Manager()
    on = {"microscaling.enable": "true", "microscaling.max": "3"}
    manager.serve("everywhere", Mode={"Global": {}})
    manager.serve("job", Mode={"ReplicatedJob": {}})
    manager.serve(
        "drains", labels=on | {"microscaling.drain.seconds": "5", "microscaling.busy-file": "/busy"}
    )
    manager.serve("named", labels=on | {"microscaling.web": "true"})
    manager.serve("both", labels=on | {"microscaling.during-update": "maybe", "microscaling.count": "so"})
    manager.serve("web")
    catalogue = Catalogue(10, Settings(), (), problems_in_swarm)
    catalogue.read(found(manager).services())
    assert [task.name for task in catalogue.take()] == ["web"]
    said = "\n".join(caplog.messages)
    for text in (
        "service everywhere: it is a global service",
        "service job: it is a job",
        "service drains: ",
        "in a swarm nobody can choose the container that goes",
        "service named: microscaling.web: a swarm takes its own names away",
        "service both: microscaling.during-update: expected scale or hold, got 'maybe'",
        "service both: microscaling.count: expected true or false, got 'so'",
    ):
        assert text in said.replace('"', "'"), said


def test_ports_of_the_nodes_are_pointed_out() -> None:
    manager = Manager()
    ports = [{"PublishedPort": 80, "PublishMode": "host"}, {"PublishedPort": 81, "PublishMode": "ingress"}]
    manager.serve("web", EndpointSpec={"Ports": ports})
    (web,) = found(manager).services()
    (note,) = web.notes
    assert note.startswith("it publishes port 80 in the mode `host`")


def test_labels_for_a_swarm_are_mistakes_elsewhere() -> None:
    labels = {"microscaling.enable": "true", "microscaling.duringUpdate": "scale"}
    (problem,) = problems_outside_swarms(None, labels)  # type: ignore[arg-type]
    assert problem == "microscaling.duringUpdate: is for MSS_SCHEDULER=SWARM: leave it out"


def test_the_cap_stays_while_managers_that_have_just_elected_a_leader_know_no_node() -> None:
    manager = Manager()
    manager.serve("web", cpus=1)
    manager.node("one", 4, state="unknown")
    manager.node("two", 4, state="unknown")
    discovery = found(manager, by_nodes=True)
    discovery.services()
    assert discovery.cap() == 8


def test_the_cap_is_what_the_nodes_have_room_for() -> None:
    manager = Manager()
    manager.serve("web", 0.5)
    manager.serve("mail", 1)
    manager.serve("unsized")
    manager.serve("db", 2, labels={})
    manager.node("n1", 4)
    manager.node("n2", 4)
    manager.node("drained", 4, availability="drain")
    manager.node("down", 4, state="down")
    manager.task("db", "n1", 2)
    manager.task("web", "n2", 0.5)
    discovery = found(manager, by_nodes=True)
    refused = {service.name: service.refusal for service in discovery.services()}
    assert refused.pop("unsized").startswith("it reserves neither cpus nor memory")
    assert refused == {"web": "", "mail": ""}
    assert discovery.cap() == 6, "2 beside the database, and 4"
    manager.nodes.pop(0)
    assert discovery.cap() == 4


@pytest.mark.parametrize(
    ("scaled", "others", "expected"),
    [
        ([], [], 0),
        ([Reserved(memory=GIB)], [], 8),
        ([Reserved(10**9, GIB)], [], 4),
        ([Reserved(10**9), Reserved(memory=4 * GIB)], [], 2),
        ([Reserved(3 * 10**9)], [], 1),
        ([Reserved(10**9)], [("n", Reserved(5 * 10**9))], 0),
        ([Reserved(10**9)], [("", Reserved(5 * 10**9))], 4),
    ],
)
def test_the_scarcest_resource_decides(
    scaled: list[Reserved], others: list[tuple[str, Reserved]], expected: int
) -> None:
    node = SwarmNode("n", True, True, 4 * 10**9, 8 * GIB)
    assert cap_of([node], scaled, others) == expected


@pytest.mark.parametrize(
    "settings", [Settings(scheduler="TOY"), Settings(scheduler="TOY", config="SERVICES")]
)
def test_without_a_swarm_auto_is_an_error(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="MSS_MAX_CONTAINERS: auto is for MSS_SCHEDULER=SWARM"):
        factory.prepared(settings, {"MSS_MAX_CONTAINERS": "auto"})
