"""The keys for containers that are started ahead, and where they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.config.services.task import task_of
from microscaling.demand.frozen import Yielding
from microscaling.demand.task import Task
from microscaling.demand.warm import Warm
from microscaling.errors import ConfigError
from microscaling.factory import make_tasks
from microscaling.scheduler.base import SCHEDULERS
from microscaling.settings import Settings
from tests.api.test_yielding import OF_QUEUE, QUEUE, QUIET, read

READY, GO = {"warmAfter": {"file": "/tmp/ready"}}, {"go": {"file": "/tmp/go"}}
ON_CONT = {"go": {"signal": "CONT"}}
STOPS = {"warmAfter": {"signal": "STOP"}, **ON_CONT}
STOPPED = Warm(2, signal="CONT", stops=True)
WEB = {"web": True, "networks": ["front"]}


@pytest.mark.parametrize(
    ("config", "warm"),
    [
        ({}, None),
        ({"warm": 0}, None),
        ({"warm": 2, **READY, **GO}, Warm(2, "/tmp/ready", file="/tmp/go")),
        ({"warm": 0, **READY, **GO}, Warm(0, "/tmp/ready", file="/tmp/go")),
        ({"warm": 2, **READY, **ON_CONT}, Warm(2, "/tmp/ready", "CONT")),
        ({"warm": 2, **READY, "go": {"signal": "sigurg"}}, Warm(2, "/tmp/ready", "URG")),
        ({"warm": 2, "warmAfter": "healthy"}, Warm(2)),
        ({"warm": 2, "warmAfter": "healthy", **ON_CONT}, Warm(2, signal="CONT")),
        ({"warm": 2, **STOPS}, STOPPED),
        ({"warm": 2, "warmAfter": {"signal": "sigstop"}, "go": {"Signal": "SigCont"}}, STOPPED),
        ({"warm": 2, **STOPS, "read_only": True}, STOPPED),
    ],
)
def test_values(config: dict[str, Any], warm: Warm | None) -> None:
    assert read(config).warm == warm


@pytest.mark.parametrize(
    ("config", "warm"),
    [
        ({**READY, **GO}, Warm(2, "/tmp/ready", file="/tmp/go")),
        ({"warmAfter": "healthy", **GO}, Warm(2, file="/tmp/go")),
        ({"warmAfter": "healthy", **WEB}, Warm(2)),
        (STOPS, STOPPED),
    ],
)
def test_values_with_a_metric(config: dict[str, Any], warm: Warm) -> None:
    assert read({**OF_QUEUE, "warm": 2, **config}, **QUEUE).warm == warm


def test_both_ways_of_freezing_go_together() -> None:
    task = read({**OF_QUEUE, **QUIET, "yield": "pause", "warm": 1, **READY, **GO}, **QUEUE)
    assert (task.yielding, task.warm) == (Yielding(4, waits=True), Warm(1, "/tmp/ready", file="/tmp/go"))


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"warm": -1}, "config.warm: expected a whole number"),
        ({"warm": "two", **READY, **GO}, "config.warm: expected a whole number"),
        ({"warm": 2}, "config.warm: needs warmAfter, {file: /tmp/ready}, {signal: STOP} or healthy"),
        ({"warm": 2, **GO}, "config.warm: needs warmAfter"),
        (READY, "config.warmAfter: means nothing without warm"),
        (GO, "config.go: means nothing without warm"),
        ({"warm": 2, **READY}, "config.warmAfter: a program that writes a file and goes on could be frozen"),
        ({"warm": 2, "warmAfter": ["healthy"]}, "warmAfter: expected {file: /tmp/ready}, {signal: STOP} or"),
        ({"warm": 2, **READY, "go": {"signal": 18}}, "config.go.signal: expected one of CONT, URG, WINCH"),
        ({"warm": 2, "warmAfter": "ready"}, "warmAfter: expected {file: /tmp/ready}, {signal: STOP} or"),
        ({"warm": 2, "warmAfter": {}, **GO}, "config.warmAfter.file: expected the absolute path"),
        ({"warm": 2, "warmAfter": {"file": "ready"}, **GO}, "config.warmAfter.file: expected the absolute"),
        ({"warm": 2, "warmAfter": {"file": "/dev/shm/r"}, **GO}, "warmAfter.file: is below /dev/shm, which"),
        (
            {"warm": 2, "warmAfter": {"signal": "TSTP"}, **ON_CONT},
            "config.warmAfter.signal: expected STOP, by",
        ),
        ({"warm": 2, "warmAfter": {"signal": 19}, **ON_CONT}, "warmAfter.signal: expected STOP, by which"),
        ({"warm": 2, "warmAfter": {"signal": "STOP", "file": "/r"}, **GO}, "warmAfter: has signal and file"),
        ({"warm": 2, "warmAfter": {"signal": "STOP", "to": 1}, **ON_CONT}, "warmAfter.to: is not known"),
        (
            {"warm": 2, "warmAfter": STOPS["warmAfter"], "go": {"signal": "CONT", "to": 1}},
            "go.to: is not known",
        ),
        (STOPS, "config.warmAfter: means nothing without warm"),
        ({"warm": 2, **GO, **READY, "read_only": True}, "is read-only: use warmAfter: healthy"),
        ({"warm": 2, **GO, "warmAfter": "healthy", "read_only": True}, "read-only: use go: {signal: CONT}"),
        ({"warm": 2, **READY, "go": {}}, "config.go: expected signal or file in it"),
        ({"warm": 2, **READY, "go": {**GO["go"], **ON_CONT["go"]}}, "config.go: has signal and file"),
        ({"warm": 2, **READY, "go": "CONT"}, "config.go: expected {file: /tmp/go} or {signal: CONT}, got"),
        (
            {"warm": 2, **READY, "go": {"signal": "USR1"}},
            "config.go.signal: expected one of CONT, URG, WINCH",
        ),
        ({"warm": 2, **READY, "go": {"file": "/run/x/"}}, "config.go.file: expected the absolute path"),
        ({"warm": 2, **READY, "go": {"file": "/tmp/ready"}}, "config.go.file: is the file of warmAfter"),
        (
            {"warm": 2, **GO, **READY, "volumes": ["all:/tmp"]},
            "is below /tmp, which all its containers share",
        ),
        ({"warm": 2, **GO, **READY, "tmpfs": ["/tmp"]}, "is below /tmp, which an engine does not show"),
    ],
)
def test_mistakes(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(config)
    assert problem in caught.value.problems[0]
    # A word that cannot be read is said once, and nothing of what follows from it.
    assert len(caught.value.problems) == 1 or "expected" not in problem


@pytest.mark.parametrize(
    "go", [{}, GO, {"go": {"signal": "URG"}}, {"go": {"signal": 18}}, {"go": "CONT"}, {"go": {}},
           {"go": {**GO["go"], **ON_CONT["go"]}}],
)  # fmt: skip
def test_a_stop_has_one_end(go: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        read({"warm": 2, "warmAfter": {"signal": "STOP"}, **go})
    (line,) = caught.value.problems
    assert "config.go: a program that has stopped itself goes on by {signal: CONT} alone: give that" in line


def test_a_worker_of_a_queue_must_wait_for_go() -> None:
    with pytest.raises(ConfigError) as caught:
        read({**OF_QUEUE, "warm": 2, "warmAfter": "healthy"}, **QUEUE)
    (line,) = caught.value.problems
    assert "config.warmAfter: a frozen worker still gets the next job of its queue: add go" in line


@pytest.mark.parametrize(
    ("labels", "warm"),
    [
        ({"warm-after.file": "/r", "go.signal": "CONT"}, Warm(3, "/r", "CONT")),
        ({"warm-after.file": "/r", "go.file": "/go"}, Warm(3, "/r", file="/go")),
        ({"warm-after": "healthy", "go.file": "/go"}, Warm(3, file="/go")),
        ({"warm-after.signal": "STOP", "go.signal": "CONT"}, Warm(3, signal="CONT", stops=True)),
        ({"warm-after": '{"file": "/r"}', "go": '{"file": "/go"}'}, Warm(3, "/r", file="/go")),
    ],
)
def test_labels(labels: dict[str, str], warm: Warm) -> None:
    named = {f"microscaling.{name}": value for name, value in ({"warm": "3", "max": "4"} | labels).items()}
    assert task_of("batch", named, 10, Settings(), pytest.fail).warm == warm


class Given:
    """A configuration with one task that has warm containers."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def get_apps(self, user_id: str) -> tuple[list[Task], int]:
        return [read(self.config)], 4


NUMBERED = {"warm": 2, "warmAfter": {"file": "/r-{number}"}, "go": {"file": "/go-{number}"}}


def problems_of(name: str, config: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        make_tasks(Settings(scheduler=name), {}, Given(config))  # type: ignore[arg-type]
    return list(caught.value.problems)


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_which_schedulers_can_do_it(name: str) -> None:
    config = NUMBERED if name == "PROCESS" else {"warm": 2, **READY, **GO}
    if name in ("DOCKER", "COMPOSE", "PROCESS"):
        assert make_tasks(Settings(scheduler=name), {}, Given(config)).tasks[0].warm  # type: ignore[arg-type]
        return
    (line,) = problems_of(name, config)
    assert line.startswith(f"a: config.warm: MSS_SCHEDULER={name} cannot freeze what it runs: leave it out")


@pytest.mark.parametrize("name", ["DOCKER", "COMPOSE", "PROCESS"])
def test_only_a_program_that_is_not_pid_1_can_stop_itself(name: str) -> None:
    """A service of Compose has its init in its own definition, which no label shows."""
    config = {"warm": 2, **STOPS}
    if name == "DOCKER":
        for more in ({}, {"init": False}):
            (line,) = problems_of(name, {**config, **more})
            assert line == (
                "a: config.warmAfter.signal: PID 1 of a container cannot stop itself: add init: true, or use "
                "{file: /tmp/ready}"
            )
        config["init"] = True
    [task] = make_tasks(Settings(scheduler=name), {}, Given(config)).tasks  # type: ignore[arg-type]
    assert task.warm == STOPPED


def test_a_process_of_another_handshake_is_replaced() -> None:
    """After a thaw one that has stopped itself works, and another one would wait for go for ever: the paths
    of its files are in its environment."""
    version = SCHEDULERS.chosen("MSS_SCHEDULER", "PROCESS").version
    assert version is not None
    assert version(read({"warm": 2, **STOPS})) != version(read(NUMBERED))
    other = {**NUMBERED, "go": {"file": "/other-{number}"}}
    assert len({version(read(config)) for config in ({}, NUMBERED, other)}) == 3
    assert version(read({**NUMBERED, "warm": 3})) == version(read(NUMBERED))


def test_local_processes_have_files_of_their_own_and_no_health() -> None:
    first, second = problems_of("PROCESS", {"warm": 2, **READY, **GO})
    assert "a: config.warmAfter.file: needs {number}, as all processes have the same files" in first
    assert second.endswith("each gets its path as MSS_GO_FILE")
    (line,) = problems_of("PROCESS", {"warm": 2, "warmAfter": "healthy"})
    assert "a: config.warmAfter: local processes have no health check: use {file:" in line
    assert line.endswith(" or {signal: STOP}")
    (line,) = problems_of("PROCESS", NUMBERED | ON_CONT)
    assert "a: config.go.signal: CONT ends the stop of a local process" in line
    assert line.endswith("or warmAfter: {signal: STOP}")
    assert len(problems_of("DOCKER", NUMBERED)) == 2


@pytest.mark.parametrize(
    ("ports", "warnings"),
    [
        ("8081-8084:80", ["ports needs a range of 6, and has 4"]),
        ("8081-8085:80", ["ports needs a range of 6, and has 5"]),
        ("8081-8086:80", []),
        ("80", []),
    ],
)
def test_a_frozen_one_keeps_its_port(ports: str, warnings: list[str]) -> None:
    said: list[str] = []
    config = {"image": "x", "ports": [ports], "networkMode": "bridge", "warm": 2, "warmAfter": "healthy"}
    app = {"name": "a", "maxContainers": 4, "config": config}
    apps_from_parsed({"maxContainers": 4, "apps": [app]}, warn=said.append, strict=True)
    assert [line.rpartition("together ")[2] for line in said] == warnings
