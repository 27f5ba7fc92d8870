"""Jobs that are not waiting: running, stuck, for later, or of a paused source."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.metric.measurement import Measurement
from microscaling.settings import Settings
from microscaling.target.base import Target
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.engine.driven import Driven, Length, queue_task

TARGETS = [QueueLengthTarget(50, Settings()), SimpleQueueLengthTarget(50), PerContainerTarget(2)]
RULES = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.type_name)
IDLE_S = 12.0
"""Longer than an empty queue keeps its containers."""


class States(Length):
    """Counts jobs by their state."""

    def read(self, answer: Any) -> Any:
        return answer


def task(target: Target, has: int = 0, **more: Any) -> Task:
    made = queue_task("a", has, target=target, **more)
    made.metric = States("a")
    made.metric.with_running = target.with_running
    return made


@RULES
@pytest.mark.parametrize("jobs", [Measurement(0, 1), Measurement(0, 0, stuck=1), Measurement(0, None, 2)])
def test_taken_jobs_start_and_keep_one_container(target: Target, jobs: Measurement) -> None:
    run = Driven(task(target))
    assert run.for_s(IDLE_S, a=jobs) == [1]
    assert run.for_s(IDLE_S, a=Measurement(0, 0)) == [0]


def test_the_one_for_taken_jobs_comes_from_a_less_important_task() -> None:
    run = Driven(task(TARGETS[1]), queue_task("b", 4, 2), cap=4)
    assert run.beat(a=Measurement(0, 0, stuck=3), b=100) == [1, 3]
    first, second = run.tasks.tasks
    assert (
        str(first.reason) == "queue 0 of target 50 (3 stuck): jobs are taken and it has none, takes 1 from b"
    )
    assert str(second.reason) == "gives 1 to a, which comes first and has none"


@RULES
def test_jobs_for_later_start_nothing_and_keep_nothing(target: Target) -> None:
    run = Driven(task(target))
    assert run.for_s(IDLE_S, a=Measurement(0, 0, future=1000)) == [0]
    run = Driven(task(target, 3))
    assert run.for_s(IDLE_S, a=Measurement(0, 0, future=1000)) == [0]


@RULES
def test_a_paused_source_adds_nothing_and_gives_back(target: Target) -> None:
    run = Driven(task(target))
    assert run.for_s(IDLE_S, a=Measurement(500, 3, stuck=1, paused=True)) == [0]
    run = Driven(task(target, 3))
    assert max(run.beat(a=Measurement(500, 8, paused=True))[0] for _ in range(24)) <= 3
    assert run.for_s(IDLE_S, a=Measurement(500, 1, paused=True)) == [1], "the one at work"
    assert run.for_s(IDLE_S, a=Measurement(500, 0, paused=True)) == [0]
    assert run.beat(a=Measurement(500, 0)) > [0]


def test_stuck_jobs_are_let_go_after_a_while_without_a_change(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "mssengine")
    run = Driven(task(TARGETS[0], stuck_s=60.0))
    assert run.for_s(55, a=Measurement(0, 0, stuck=5)) == [1]
    assert run.for_s(55, a=Measurement(0, 0, stuck=4)) == [1], "some have come back, so it goes on"
    assert not caplog.messages
    assert run.for_s(20, a=Measurement(0, 0, stuck=4)) == [0]
    assert run.for_s(60, a=Measurement(0, 0, stuck=4)) == [0]
    assert caplog.messages == [
        "a: 4 jobs of workers that are gone have been stuck for 60 s (stuckSeconds): they keep no container "
        "any longer"
    ]
    assert run.for_s(IDLE_S, a=Measurement(0, 0, stuck=5)) == [1], "another one"


def test_stuck_jobs_do_not_hide_an_empty_queue_from_other_containers() -> None:
    run = Driven(task(TARGETS[2], 4))
    assert run.for_s(IDLE_S, a=Measurement(0, 0, stuck=9)) == [1]


def test_running_jobs_keep_their_containers_by_the_rule_that_counts_them() -> None:
    run = Driven(task(TARGETS[2], 4))
    assert run.for_s(IDLE_S, a=Measurement(0, 8)) == [4]
    assert run.beat(a=Measurement(0, 4)) == [2]
    [one] = run.tasks.tasks
    assert str(one.reason) == "queue 4 at 2 for each (4 running): can spare 2, gives back 2"
