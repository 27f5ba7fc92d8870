"""The keys for containers that are frozen, and where they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.config.services.task import task_of
from microscaling.demand.frozen import Yielding
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.factory import make_tasks
from microscaling.scheduler.base import SCHEDULERS
from microscaling.settings import Settings

QUEUE = {"ruleType": "Queue", "metricType": "Redis"}
OF_QUEUE = {"url": "redis://h", "key": "a", "targetQueueLength": 5}
QUIET = {"busyFile": "/var/busy", "drain": {"signal": "TSTP", "resume": {"signal": "CONT"}}}


def read(config: dict[str, Any], **app: Any) -> Task:
    app = {"name": "a", "maxContainers": 4, **app, "config": {"image": "x", "command": "x", **config}}
    [task], _ = apps_from_parsed({"maxContainers": 4, "apps": [app]}, warn=pytest.fail, strict=True)
    return task


@pytest.mark.parametrize(
    ("config", "yielding"),
    [
        ({}, None),
        ({"yield": "stop"}, None),
        ({"yield": "pause"}, Yielding(4)),
        ({"yield": "pause", "yieldPaused": 2, "yieldSeconds": 1.5}, Yielding(2, 1.5)),
        ({"yield": "pause", "yieldSeconds": 29, "leaseSeconds": 30}, Yielding(4, 29.0, leased=True)),
    ],
)
def test_values(config: dict[str, Any], yielding: Yielding | None) -> None:
    assert read(config).yielding == yielding


@pytest.mark.parametrize(
    ("config", "yielding"),
    [
        (QUIET, Yielding(4, waits=True)),
        ({"leaseSeconds": 60, "yieldSeconds": 45}, Yielding(4, 45.0, leased=True)),
        ({**QUIET, "leaseSeconds": 60, "yieldSeconds": 45}, Yielding(4, 45.0, leased=True)),
        ({"web": True, "networks": ["front"]}, Yielding(4)),
    ],
)
def test_values_with_a_metric(config: dict[str, Any], yielding: Yielding) -> None:
    assert read({**OF_QUEUE, "yield": "pause", **config}, **QUEUE).yielding == yielding


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"yield": "freeze"}, "config.yield: expected pause or stop, got"),
        ({"yieldPaused": 3}, "config.yieldPaused: means nothing without yield: pause; leave it out"),
        ({"yieldSeconds": 3}, "config.yieldSeconds: means nothing without yield: pause; leave it out"),
        ({"leaseSeconds": 3}, "config.leaseSeconds: means nothing without yield: pause; leave it out"),
        ({"yield": "pause", "yieldPaused": 0}, "config.yieldPaused: expected a whole number"),
        ({"yield": "pause", "yieldSeconds": 0}, "config.yieldSeconds: expected a number of seconds"),
        (
            {"yield": "pause", "leaseSeconds": 60},
            "config.yieldSeconds: is 300, and leaseSeconds is 60: a job that is frozen for longer",
        ),
        ({"yield": "pause", "yieldSeconds": 0, "leaseSeconds": 60}, "config.yieldSeconds: expected a number"),
        ({"yield": "pause", "leaseSeconds": 0}, "config.leaseSeconds: expected a number of seconds from 1"),
        ({"yield": "pause", "leaseSeconds": "soon"}, "config.leaseSeconds: expected a number of seconds"),
    ],
)
def test_mistakes(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(config)
    (line,) = caught.value.problems
    assert problem in line


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"busyFile": "/var/busy"},
        {"busyFile": "/var/busy", "drain": {"signal": "TSTP"}},
        {"drain": {"signal": "TSTP", "resume": {"signal": "CONT"}}},
    ],
    ids=["nothing", "no quiet signal", "no resume", "no sign of work"],
)
def test_a_worker_of_a_queue_must_not_be_frozen_with_a_job(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        read({**OF_QUEUE, "yield": "pause", **config}, **QUEUE)
    (line,) = caught.value.problems
    assert "config.yield: a frozen worker keeps its job, and gets the next one too: add drain" in line


def test_labels() -> None:
    labels = {"yield": "pause", "yield-paused": "3", "yield-seconds": "8", "max": "4"}
    named = {f"microscaling.{name}": value for name, value in labels.items()}
    assert task_of("batch", named, 10, Settings(), pytest.fail).yielding == Yielding(3, 8.0)


class Given:
    """A configuration with one task that yields."""

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        return [read({"yield": "pause"})], 4


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_which_schedulers_can_do_it(name: str) -> None:
    if name in ("DOCKER", "COMPOSE", "PROCESS"):
        assert make_tasks(Settings(scheduler=name), {}, Given()).tasks[0].yielding  # type: ignore[arg-type]
        return
    with pytest.raises(ConfigError) as caught:
        make_tasks(Settings(scheduler=name), {}, Given())  # type: ignore[arg-type]
    (line,) = caught.value.problems
    assert line.startswith(f"a: config.yield: MSS_SCHEDULER={name} cannot freeze what it runs: leave it out")
