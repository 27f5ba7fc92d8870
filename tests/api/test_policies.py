"""What a configuration says of failed readings and of scaling down."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from microscaling.api.apps import apps_from_data
from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings

CONFIG = {"topicName": "t", "channelName": "c", "targetQueueLength": 5}
GOOD = {"failureThreshold": 3, "containers": 4}


def read(rule: str = "Queue", **app: Any) -> Task:
    base = {"name": "a", "minContainers": 1, "maxContainers": 9, "ruleType": rule, "metricType": "NSQ"}
    data = {"maxContainers": 9, "apps": [{**base, "config": CONFIG, **app}]}
    [task], _ = apps_from_data(json.dumps(data).encode(), Settings())
    return task


def test_by_default_a_task_is_held_and_its_window_is_that_of_all() -> None:
    task = read()
    assert (task.fallback, task.scale_down_window_s) == (None, None)


@pytest.mark.parametrize(
    ("app", "fallback", "window_s"),
    [
        ({"fallback": GOOD}, Fallback(3, 4), None),
        ({"FALLBACK": {"failurethreshold": 1, "Containers": 1}}, Fallback(1, 1), None),
        ({"fallback": None, "scaleDownWindowSeconds": None}, None, None),
        ({"scaleDownWindowSeconds": 0}, None, 0.0),
        ({"scaleDownWindowSeconds": "2.5"}, None, 2.5),
        ({"fallback": GOOD, "scaleDownWindowSeconds": 3600}, Fallback(3, 4), 3600.0),
    ],
)
def test_policies(
    app: dict[str, Any], fallback: Fallback | None, window_s: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    task = read(**app)
    assert (task.fallback, task.scale_down_window_s) == (fallback, window_s)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("config", "idle_s"), [({}, 10.0), ({"idleSeconds": 0}, 0.0), ({"IDLESECONDS": "2.5"}, 2.5)]
)
def test_idle_seconds(config: dict[str, Any], idle_s: float, caplog: pytest.LogCaptureFixture) -> None:
    assert read(config=CONFIG | config).idle_s == idle_s
    assert caplog.messages == []


@pytest.mark.parametrize("value", [-1, "soon", True, 86401])
def test_bad_idle_seconds_are_one_line(value: object) -> None:
    with pytest.raises(ConfigError) as error:
        read(config=CONFIG | {"idleSeconds": value})
    [found] = error.value.problems
    assert found.startswith("apps[0].config.idleSeconds: expected a number of seconds from 0 to 86400, got")


def test_idle_seconds_of_a_remainder_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    read(rule="Remainder", config={"idleSeconds": 5})
    assert caplog.messages == [
        "apps[0].config.idleSeconds: means nothing for a task without a queue to measure"
    ]


@pytest.mark.parametrize(
    ("rule", "config", "with_running"),
    [
        ("Queue", {}, False),
        ("SimpleQueue", {}, False),
        ("PerContainer", {"targetPerContainer": 2}, True),
        ("PerContainer", {"targetPerContainer": 2, "count": "waiting"}, False),
        ("PerContainer", {"targetPerContainer": 2, "count": "waiting+running"}, True),
        # All nine containers have at least nine jobs in work, so only a longer queue makes a tenth one wish.
        ("SimpleQueue", {"targetQueueLength": 10, "count": "waiting+running"}, True),
    ],
)
def test_the_jobs_that_a_rule_counts(rule: str, config: dict[str, Any], with_running: bool) -> None:
    assert read(rule, config=CONFIG | config).metric.with_running is with_running


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"targetQueueLength": 9, "count": "waiting+running"}, "is waiting+running, with which Queue starts"),
        ({"count": "all"}, 'expected waiting or waiting+running, got "all"'),
    ],
)
def test_a_count_with_which_a_rule_runs_away_is_refused(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(config=CONFIG | config)
    assert str(error.value).startswith(f"apps[0].config.count: {problem}")


@pytest.mark.parametrize(("config", "stuck_s"), [({}, 3600.0), ({"stuckSeconds": 5}, 5.0)])
def test_stuck_seconds(config: dict[str, Any], stuck_s: float) -> None:
    assert read(config=CONFIG | config).stuck_s == stuck_s


WHOLE = "expected a whole number"
WINDOW = "apps[0].scaleDownWindowSeconds: expected a number of seconds from 0 to 3600, got "


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        ({"fallback": 4}, "apps[0].fallback: expected an object, got 4"),
        ({"fallback": {"containers": 4}}, "apps[0].fallback.failureThreshold: is missing: a fallback needs"),
        ({"fallback": {"failureThreshold": 3}}, "apps[0].fallback.containers: is missing: a fallback needs"),
        ({"fallback": GOOD | {"failureThreshold": 0}}, f"apps[0].fallback.failureThreshold: {WHOLE}, 1 or"),
        ({"fallback": GOOD | {"containers": -1}}, f"apps[0].fallback.containers: {WHOLE}, 0 or more, got -1"),
        ({"fallback": GOOD | {"containers": "4"}}, f'apps[0].fallback.containers: {WHOLE}, got "4"'),
        ({"fallback": GOOD | {"containers": True}}, f"apps[0].fallback.containers: {WHOLE}, got true"),
        ({"scaleDownWindowSeconds": -1}, WINDOW + "-1"),
        ({"scaleDownWindowSeconds": 3601}, WINDOW + "3601"),
        ({"scaleDownWindowSeconds": "1m"}, WINDOW + '"1m"'),
    ],
)  # fmt: skip
def test_a_bad_one_is_one_line_that_names_it(app: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(**app)
    [found] = error.value.problems
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("app", "warning"),
    [
        ({"fallback": GOOD | {"replicas": 4}}, "apps[0].fallback.replicas: is not known here, and ignored"),
        (
            {"fallback": GOOD | {"containers": 12}},
            "apps[0].fallback.containers: is 12, and the task has 1 to 9: it will fall back to 9",
        ),
        (
            {"fallback": GOOD | {"containers": 0}},
            "apps[0].fallback.containers: is 0, and the task has 1 to 9: it will fall back to 1",
        ),
        (
            {"rule": "Remainder", "fallback": GOOD},
            "apps[0].fallback: means nothing for a task without a queue to measure",
        ),
        (
            {"rule": "Remainder", "scaleDownWindowSeconds": 5},
            "apps[0].scaleDownWindowSeconds: means nothing for a task without a queue to measure",
        ),
    ],
)
def test_what_may_not_be_meant_is_a_warning(
    app: dict[str, Any], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "mssconfig"):
        read(**app)
    assert caplog.messages == [warning]


@pytest.mark.parametrize(
    ("config", "interval_s", "timeout_s"),
    [
        ({}, 0.0, 0.0),
        ({"intervalSeconds": 15}, 15.0, 0.0),
        ({"INTERVALSECONDS": "0.5", "timeoutSeconds": 10}, 0.5, 10.0),
        ({"timeoutSeconds": "2.5"}, 0.0, 2.5),
    ],
)
def test_the_pace_of_a_source(
    config: dict[str, Any], interval_s: float, timeout_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    metric = read(config=CONFIG | config).metric
    assert metric.source
    assert (metric.interval_s, metric.source.timeout_s) == (interval_s, timeout_s)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("intervalSeconds", -1), ("intervalSeconds", 3601), ("intervalSeconds", "often"),
        ("timeoutSeconds", 0), ("timeoutSeconds", "0"), ("timeoutSeconds", 0.0), ("timeoutSeconds", 301),
        ("timeoutSeconds", True),
    ],
)  # fmt: skip
def test_a_pace_that_cannot_be_is_one_line(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as error:
        read(config=CONFIG | {key: value})
    [found] = error.value.problems
    assert found.startswith(f"apps[0].config.{key}: expected a number of seconds ")


QUEUE_OF = {
    "HTTP": {"url": "http://127.0.0.1:1/"},
    "NSQ": {"topicName": "t", "channelName": "c"},
    "Redis": {"url": "redis://127.0.0.1:1", "key": "k"},
    "SQL": {"databaseURL": "sqlite:////nowhere/jobs.db", "query": "SELECT 1"},
    "SQS": {"queueURL": "http://127.0.0.1:1/1/q"},
    "AzureQueue": {"queueName": "jobs"},
}


@pytest.mark.parametrize("kind", sorted(QUEUE_OF))
def test_every_source_takes_the_time_that_it_is_given(kind: str) -> None:
    config = {"targetQueueLength": 50, **QUEUE_OF[kind]}
    usual = read(metricType=kind, config=config).metric.source
    patient = read(metricType=kind, config=config | {"timeoutSeconds": 42}).metric.source
    assert usual
    assert patient
    assert patient.key != usual.key
    assert 42.0 in _deadlines(patient)
    assert 42.0 not in _deadlines(usual)


def _deadlines(source: Any) -> list[float]:
    """Of the source and of its connection."""
    own = getattr(source, "_deadline_s", None)
    clients = [getattr(source, name, None) for name in ("_client", "_connection")]
    return [own, *(getattr(client, "deadline_s", None) for client in clients)]
