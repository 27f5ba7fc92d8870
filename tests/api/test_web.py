"""The keys for web services, and where they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.clients.docker.nameless import why_nameless
from microscaling.config.services.task import task_of
from microscaling.demand.task import Task
from microscaling.demand.web import Web
from microscaling.errors import ConfigError
from microscaling.factory import make_tasks
from microscaling.scheduler.base import SCHEDULERS
from microscaling.settings import Settings


def read(config: dict[str, Any]) -> Task:
    app = {"name": "a", "maxContainers": 4, "config": {"image": "x", **config}}
    [task], _ = apps_from_parsed({"maxContainers": 4, "apps": [app]}, warn=pytest.fail, strict=True)
    return task


@pytest.mark.parametrize(
    ("config", "web"),
    [
        ({}, None),
        ({"web": False}, None),
        ({"web": True}, Web(5.0, None, ())),
        ({"web": True, "unlistSeconds": 0, "listAfterSeconds": 3}, Web(0.0, 3.0, ())),
        ({"web": True, "webNetworks": ["front", "edge"]}, Web(networks=("front", "edge"))),
        ({"web": True, "webNetworks": "front, edge"}, Web(networks=("front", "edge"))),
    ],
)
def test_values(config: dict[str, Any], web: Web | None) -> None:
    assert read(config).web == web


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"web": "perhaps"}, "config.web: expected true or false"),
        ({"web": True, "unlistSeconds": -1}, "config.unlistSeconds: expected a number of seconds"),
        ({"unlistSeconds": 3}, "config.unlistSeconds: means nothing without web: true"),
        ({"web": False, "webNetworks": ["front"]}, "config.webNetworks: means nothing without web: true"),
        ({"web": True, "webNetworks": [3]}, "config.webNetworks: expected the names of networks"),
        ({"web": True, "webNetworks": []}, "config.webNetworks: expected the names of networks"),
    ],
)
def test_mistakes(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(config)
    (line,) = caught.value.problems
    assert problem in line


def test_labels() -> None:
    labels = {"web": "true", "unlist-seconds": "8", "web-networks": "front edge", "max": "4"}
    named = {f"microscaling.{name}": value for name, value in labels.items()}
    task = task_of("web", named, 10, Settings(), pytest.fail)
    assert task.web == Web(8.0, None, ("front", "edge"))


class Given:
    """A configuration with one web task."""

    def __init__(self, **config: Any) -> None:
        self.tasks = [read({"web": True, **config})]

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        return self.tasks, 4


@pytest.mark.parametrize("name", sorted({*SCHEDULERS.names()} - {"DOCKER", "COMPOSE"}))
def test_where_there_are_no_names_of_docker_it_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_tasks(Settings(scheduler=name), {}, Given())  # type: ignore[arg-type]
    (line,) = caught.value.problems
    assert line.startswith(f"a: config.web: MSS_SCHEDULER={name} has no names in a network of Docker")


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "a: config.web: on the network of the host a container has no name"),
        ({"networkMode": "bridge"}, "a: config.web: on the default network `bridge` Docker knows no names"),
        ({"networkMode": "container:x"}, "a: config.web: it has the network of another container"),
        ({"networks": ["front"], "webNetworks": "edge"}, "a: config.webNetworks: edge is not among"),
    ],
)
def test_networks_without_names_are_refused(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_tasks(Settings(scheduler="DOCKER"), {}, Given(**config))  # type: ignore[arg-type]
    (line,) = caught.value.problems
    assert line.startswith(problem)


def test_a_network_of_ones_own_has_names() -> None:
    make_tasks(Settings(scheduler="DOCKER"), {}, Given(networks=["front"]))  # type: ignore[arg-type]
    assert [why_nameless([name]) == "" for name in ("front", "none", "default")] == [True, False, False]
