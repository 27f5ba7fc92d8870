"""What is said at the start of configurations that may not do what is expected."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from microscaling.demand.drain import Busy, Drain, Way
from microscaling.demand.hints import drain_hints, hints
from microscaling.demand.task import Task
from microscaling.factory import make_tasks
from microscaling.settings import Settings
from microscaling.target.base import Target
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget


def queue(length: int, **gains: float) -> QueueLengthTarget:
    return QueueLengthTarget(length, Settings(**gains))  # type: ignore[arg-type]


def task(name: str, target: Target, priority: int = 0, most: int = 10, **more: Any) -> Task:
    return Task(name, target=target, priority=priority, max_containers=most, **more)


GAINS: list[dict[str, float]] = [
    {},
    {"kp": 0.01},
    {"kp": 0.5},
    {"kp": 0.4999},
    {"kp": 7.5},
    {"kp": 0.1, "kd": 9.0},
]


@pytest.mark.parametrize(
    "target", [*(queue(0, **gains) for gains in GAINS), SimpleQueueLengthTarget(0)], ids=repr
)
def test_a_rule_gives_back_from_the_length_on_that_it_names(target: Any) -> None:
    works_from = target.works_from()
    for length, falls in ((works_from, True), (works_from - 1, False)):
        made = type(target)(length) if isinstance(target, SimpleQueueLengthTarget) else queue(length)
        if isinstance(made, QueueLengthTarget):
            made._kp = target._kp
        assert (made.delta(0) < 0) is falls


@pytest.mark.parametrize("gains", [{"kp": 0.0}, {"kp": -1.0}, {"kp": 1e-300}, {"ki": 0.1}], ids=str)
def test_gains_of_which_nothing_can_be_said(gains: dict[str, float]) -> None:
    assert queue(1, **gains).works_from() == 0


SMALL = (
    "is too small for {}, which gives nothing back before the queue has been empty for idleSeconds; use {}"
)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            queue(10),
            "targetQueueLength: a: 10 " + SMALL.format("Queue", "13 or more, or SimpleQueue with 2 or more"),
        ),
        (
            queue(12),
            "targetQueueLength: a: 12 " + SMALL.format("Queue", "13 or more, or SimpleQueue with 2 or more"),
        ),
        (SimpleQueueLengthTarget(1), "targetQueueLength: a: 1 " + SMALL.format("SimpleQueue", "2 or more")),
        (queue(13), None),
        (SimpleQueueLengthTarget(2), None),
        (RemainderTarget(9), None),
    ],
    ids=repr,
)
def test_a_target_that_is_too_small_for_its_rule(target: Target, said: str | None) -> None:
    assert list(hints([task("a", target)], 10)) == ([said] if said else [])


def test_many_small_ones_are_one_line() -> None:
    [said] = hints([task(f"t{n}", queue(5), n, 1) for n in range(9)], 10)
    assert said.startswith("targetQueueLength: t0, t1, t2, t3, t4 and 4 more: 5 is too small")


@pytest.mark.parametrize(
    ("tasks", "cap", "named"),
    [
        ([task("a", queue(50)), task("b", queue(50))], 10, "a, b have the same, 0"),
        ([task("a", queue(50), 3), task("b", RemainderTarget(10), 3)], 10, "a, b have the same, 3"),
        ([task("a", RemainderTarget(10)), task("b", RemainderTarget(10))], 10, "a, b have the same, 0"),
        ([task("a", queue(50), 1), task("b", queue(50), 2)], 10, None),
        ([task("a", queue(50)), task("b", queue(50))], 20, None),
        ([task("a", queue(50)), task("b", queue(50), most=0)], 10, None),
        ([task("a", queue(50)), task("b", queue(50), min_containers=10)], 10, None),
        ([task("a", queue(50)), task("b", queue(50), is_scalable=False)], 10, None),
    ],
)
def test_equal_priorities_are_named(tasks: list[Task], cap: int, named: str | None) -> None:
    said = list(hints(tasks, cap))
    assert [s.partition(": ")[2].partition(":")[0] for s in said] == ([named] if named else [])


def test_the_go_agents_json_is_warned_of_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    app = '{"name":"%s","maxContainers":10,"ruleType":"Queue","metricType":"NSQ","config":{"topicName":"t",'
    app += '"channelName":"c","targetQueueLength":5,"image":"i"}}'
    data = f'{{"maxContainers":10,"apps":[{app % "invoices"},{app % "mails"}]}}'
    settings = Settings.from_env({"MSS_CONFIG": "ENVVAR", "MSS_CONFIG_DATA": data})
    with caplog.at_level(logging.WARNING, "mssagent"):
        make_tasks(settings, {})
    assert [m.partition(":")[0] for m in caplog.messages] == ["targetQueueLength", "priority"]
    assert all("invoices, mails" in m for m in caplog.messages)


HOUR = (
    "drain: a: at the end of the agent their containers have MSS_EXIT_TIMEOUT_S, 30 s, to finish their jobs"
)
UNSEEN = "drain: a: nothing shows that a container is idle, so one that does not end by itself has all of"
FILE = Busy(Way.FILE, "/busy")


@pytest.mark.parametrize(
    ("busy", "drain", "end_s", "said"),
    [
        (FILE, Drain(), 30.0, [HOUR]),
        (FILE, Drain(seconds=31), 30.0, [HOUR]),
        (FILE, Drain(seconds=30), 30.0, []),
        (FILE, Drain(), None, []),
        (None, None, 30.0, []),
        (None, Drain("TSTP"), None, [UNSEEN]),
        (None, Drain("TERM"), None, []),
        (None, Drain(seconds=0), None, []),
        (None, Drain(), 30.0, [HOUR, UNSEEN]),
        (Busy(Way.SOURCE, implied=True), Drain(), 30.0, []),
    ],
)
def test_drains_that_may_surprise(
    busy: Busy | None, drain: Drain | None, end_s: float | None, said: list[str]
) -> None:
    made = task("a", queue(50))
    made.busy, made.drain = busy, drain
    found = list(drain_hints([made], end_s))
    assert [line.startswith(start) for line, start in zip(found, said, strict=True)] == [True] * len(said)


def test_a_drain_above_the_time_at_the_end_is_warned_of_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = (
        '{"maxContainers":2,"apps":[{"name":"a","maxContainers":2,'
        '"config":{"image":"i","busyFile":"/busy","drain":{"seconds":600}}}]}'
    )
    environ = {"MSS_CONFIG": "ENVVAR", "MSS_CONFIG_DATA": data, "MSS_EXIT_TIMEOUT_S": "60"}
    make_tasks(Settings.from_env(environ), {})
    [line] = caplog.messages
    assert line.startswith("drain: a: ")
    assert "MSS_EXIT_TIMEOUT_S, 60 s" in line
    assert "MSS_ON_EXIT=leave" in line
    caplog.clear()
    make_tasks(Settings.from_env({**environ, "MSS_ON_EXIT": "leave"}), {})
    assert caplog.messages == []
