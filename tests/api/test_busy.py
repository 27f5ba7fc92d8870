"""The keys for busy containers: their values, and one line for each mistake."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.drain import Busy, Call, Drain, Way
from microscaling.demand.task import Task
from microscaling.errors import ConfigError

BRIDGE = {"networkMode": "bridge"}


def read(config: dict[str, Any]) -> Task:
    app = {"name": "a", "maxContainers": 4, "config": config}
    [task], _ = apps_from_parsed({"maxContainers": 4, "apps": [app]}, warn=pytest.fail, strict=True)
    return task


@pytest.mark.parametrize(
    ("config", "busy"),
    [
        ({"busyFile": "/tmp/busy"}, Busy(Way.FILE, "/tmp/busy")),
        ({"busyFile": "/b", "busyFileMaxSeconds": "60"}, Busy(Way.FILE, "/b", 60.0)),
        ({"busyProbe": {"exec": ["is-idle", "-q"]}}, Busy(Way.EXEC, call=Call(("is-idle", "-q")))),
        ({"busyProbe": {"http": {"port": 80}}, **BRIDGE}, Busy(Way.HTTP, call=Call((), 80, "/"))),
        (
            {"busyProbe": {"http": {"port": 1, "path": "/x?y"}}, **BRIDGE},
            Busy(Way.HTTP, call=Call((), 1, "/x?y")),
        ),
        ({"BUSYCPU": "0.05"}, Busy(Way.CPU, share=0.05)),
    ],
)
def test_a_way_to_tell_means_a_drain_of_an_hour(config: dict[str, Any], busy: Busy) -> None:
    task = read(config)
    assert (task.busy, task.drain) == (busy, Drain(seconds=3600.0))


@pytest.mark.parametrize(
    ("drain", "expected"),
    [
        ({}, Drain()),
        ({"signal": "TSTP"}, Drain("TSTP")),
        ({"signal": "sigusr1", "seconds": 0}, Drain("USR1", seconds=0.0)),
        ({"hook": {"exec": ["quiet"]}}, Drain(hook=Call(("quiet",)))),
        (
            {"hook": {"exec": ["quiet"]}, "resume": {"exec": ["go", "on"]}},
            Drain(hook=Call(("quiet",)), resume_exec=("go", "on")),
        ),
        ({"signal": "TSTP", "resume": {"signal": "CONT"}}, Drain("TSTP", resume_signal="CONT")),
        ({"seconds": 90, "secondsForOthers": 9, "holdsPlace": False}, Drain("", None, 90.0, 9.0, False)),
    ],
)
def test_drains(drain: dict[str, Any], expected: Drain) -> None:
    assert read({"drain": drain}).drain == expected


def by_source(kind: str, **config: Any) -> Task:
    needs = {"NSQ": {"topicName": "t", "channelName": "c"}, "JetStream": {"url": "http://n:8222"}}
    app = {"name": "a", "maxContainers": 4, "ruleType": "Queue", "metricType": kind}
    app["config"] = {"targetQueueLength": 1, "busy": "source", **needs.get(kind, {}), **config}
    [task], _ = apps_from_parsed({"maxContainers": 4, "apps": [app]}, warn=pytest.fail, strict=True)
    return task


@pytest.mark.parametrize(
    ("kind", "config", "delay_s"),
    [
        ("NSQ", {}, 0.05),
        ("RQ", {"url": "redis://r"}, 0.1),
        ("RedisStream", {"url": "redis://r", "key": "k", "group": "g"}, 0.05),
        ("Sidekiq", {"url": "redis://r"}, 10.0),
        ("Asynq", {"url": "redis://r"}, 6.0),
        ("RabbitMQ", {"url": "http://r:15672", "queueName": "q", "networkMode": "bridge"}, 6.0),
    ],
)
def test_by_the_source(kind: str, config: dict[str, Any], delay_s: float) -> None:
    task = by_source(kind, **config)
    assert task.busy is not None
    assert (task.busy.way, task.busy.delay_s, task.drain) == (Way.SOURCE, delay_s, Drain())


@pytest.mark.parametrize(
    ("kind", "config", "problem"),
    [
        ("NSQ", {"busy": "yes"}, 'busy: expected source or none, got "yes"'),
        (
            "NSQ",
            {"hostname": "worker"},
            "busy: the consumers are known by their host names, and with hostname all containers have one: "
            "leave that out",
        ),
        (
            "RabbitMQ",
            {"url": "http://r:15672", "queueName": "q", "image": "i"},
            "busy: the consumers are known by their addresses, and on the host's network all have one: add "
            '"networkMode": "bridge", or networks; or use busyFile or busyProbe',
        ),
        (
            "BullMQ",
            {"url": "redis://r", "queueName": "q"},
            "busy: BullMQ's connections wait for the next job while another one runs, unless concurrency is "
            "1: use busyFile or busyProbe",
        ),
        (
            "Redis",
            {"url": "redis://r", "key": "k"},
            "busy: Redis does not show the consumers of a queue: use busyFile or busyProbe",
        ),
    ],
)
def test_sources_that_cannot(kind: str, config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        by_source(kind, **config)
    assert error.value.problems == (f"apps[0].config.{problem}",)


def test_without_any_of_the_keys_nothing_drains() -> None:
    task = read({})
    assert (task.busy, task.drain, task.drain_keys) == (None, None, ())


def test_in_json_a_source_that_can_tell_is_not_asked_unasked() -> None:
    """The Go agent's users get what they had."""
    app = {"name": "a", "maxContainers": 4, "ruleType": "Queue", "metricType": "NSQ"}
    app["config"] = {"targetQueueLength": 1, "topicName": "t", "channelName": "c"}
    [task], _ = apps_from_parsed({"maxContainers": 4, "apps": [app]}, warn=pytest.fail, strict=True)
    assert (task.busy, task.drain, task.drain_keys) == (None, None, ())


def test_none_is_no_sign() -> None:
    task = by_source("NSQ", busy="none")
    assert (task.busy, task.drain, task.drain_keys) == (None, None, ("busy",))


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (
            {"busyFile": "/b", "busyCpu": 1},
            "busyCpu: busyFile is given too: a container is busy by one sign only; leave one out",
        ),
        (
            {"busyFile": "/b", "busyProbe": {"exec": ["x"]}},
            "busyProbe: busyFile is given too: a container is busy by one sign only; leave one out",
        ),
        ({"busyFile": "busy"}, 'busyFile: expected the absolute path of a file in the container, got "busy"'),
        (
            {"busyFile": "/a/../b"},
            'busyFile: expected the absolute path of a file in the container, got "/a/../b"',
        ),
        (
            {"busyFile": "/dev/shm/b"},
            "busyFile: is below /dev/shm, which an engine does not show: a busy container "
            "would seem to be idle; use a path on the container's own disk or on a volume",
        ),
        (
            {"busyFile": "/run/x/b", "tmpfs": "/run"},
            "busyFile: is below /run, which an engine does not show: a busy "
            "container would seem to be idle; use a path on the container's own disk or on a volume",
        ),
        (
            {"busyFile": "/t/b", "volumes": [{"type": "tmpfs", "target": "/t"}]},
            "busyFile: is below /t, which an engine does not show: a busy container would seem to be idle; "
            "use a path on the container's own disk or on a volume",
        ),
        ({"busyFileMaxSeconds": 5}, "busyFileMaxSeconds: means nothing without busyFile: leave it out"),
        (
            {"busyFile": "/b", "busyFileMaxSeconds": -1},
            "busyFileMaxSeconds: expected a number of seconds from 1 to 604800, got -1",
        ),
        ({"busyProbe": {}}, "busyProbe: expected exec or http in it"),
        ({"busyProbe": "x"}, 'busyProbe: expected an object with exec or http, got "x"'),
        ({"busyProbe": {"exec": ["x"], "http": {"port": 1}}}, "busyProbe: has exec and http: leave one out"),
        (
            {"busyProbe": {"exec": "x"}},
            'busyProbe.exec: expected a list of words such as ["sh", "-c", "..."], got "x"',
        ),
        (
            {"busyProbe": {"http": {"path": "/"}}},
            "busyProbe.http.port: is missing: the port on which the container answers",
        ),
        (
            {"busyProbe": {"http": {"port": 70000}}},
            "busyProbe.http.port: expected a port from 1 to 65535, got 70000",
        ),
        (
            {"busyProbe": {"http": {"port": 80, "path": "x"}}, **BRIDGE},
            'busyProbe.http.path: expected a path that begins with / and has no space, got "x"',
        ),
        (
            {"busyProbe": {"http": {"port": 80}}, "image": "x"},
            "busyProbe: each container is asked at its own address, and on the "
            'host\'s network all have one: add "networkMode": "bridge", or networks; or use exec',
        ),
        ({"busyCpu": 0}, "busyCpu: expected a number of processors from 0.001 to 4096, got 0"),
        (
            {"drain": {"signal": "TSPT"}},
            'drain.signal: expected a signal such as TSTP, USR1 or TERM, got "TSPT"; did you mean TSTP?',
        ),
        (
            {"drain": {"signal": "KILL"}},
            'drain.signal: "KILL" would end the container in the middle of its job: leave it out',
        ),
        ({"drain": {"seconds": -5}}, "drain.seconds: expected a number of seconds from 0 to 604800, got -5"),
        (
            {"drain": {"signal": "HUP", "hook": {"exec": ["x"]}}},
            "drain.hook: signal is given too: leave one out",
        ),
        (
            {"drain": {"hook": {"http": {}}}},
            "drain.hook.http.port: is missing: the port on which the container answers",
        ),
        (
            {"drain": {"resume": {"signal": "CONT"}}},
            "drain.resume: has nothing to take back without signal or hook: leave it out",
        ),
        ({"drain": {"signal": "TSTP", "resume": {}}}, "drain.resume: expected signal or exec in it"),
        (
            {"drain": {"seconds": 5, "secondsForOthers": 6}},
            "drain.secondsForOthers: is 6, above seconds, which is 5: lower it or raise that",
        ),
        ({"drain": {"holdsPlace": "no"}}, 'drain.holdsPlace: expected true or false, got "no"'),
        (
            {"drain": {"second": 5}},
            "drain.second: is not known: there are signal, hook, seconds, secondsForOthers, "
            "holdsPlace, resume",
        ),
    ],
)
def test_each_mistake_is_one_line_with_the_key_and_the_way_out(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(config)
    assert error.value.problems == (f"apps[0].config.{problem}",)
