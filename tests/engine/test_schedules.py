"""The windows of a schedule in the decision, in virtual time."""

from __future__ import annotations

import dataclasses
import logging
from datetime import datetime, timezone
from typing import Any

import pytest

from microscaling.demand.change import Change
from microscaling.demand.override import Override
from microscaling.demand.schedule import Limits, Schedule, Window
from microscaling.demand.task import Task
from microscaling.demand.windows import in_window
from microscaling.utils.local_time import zone_of
from microscaling.utils.recurrence import recurrence_of
from tests.engine.driven import CAP, TARGET, Driven, falls_back, queue_task

BEFORE = "2026-11-30T07:59:58"
"""A Monday, two seconds before eight."""


def office(**limits: Any) -> Schedule:
    window = Window(
        recurrence_of("Mon-Fri 08:00"), recurrence_of("18:00"), zone_of("UTC"), Limits(**limits), "office"
    )
    return Schedule((window,), TARGET)


class Clocked(Driven):
    """With a time of day that the test sets, and that goes on with the beats."""

    def __init__(self, *tasks: Task, at: str = BEFORE, **more: Any) -> None:
        super().__init__(*tasks, **more)
        self.tasks.wall = lambda: self.day + self.now
        self.set(at)

    def set(self, at: str) -> None:
        self.day = datetime.fromisoformat(at).replace(tzinfo=timezone.utc).timestamp() - self.now


def test_a_window_is_a_floor() -> None:
    run = Clocked(queue_task("a", 1, min_containers=1, schedule=office(least=6)))
    assert run.for_s(2, a=0) == [1]
    assert run.for_s(1, a=0) == [6], "at eight, whatever is read"
    run.set("2026-11-30T18:00:00")
    assert run.for_s(30, a=0) == [1], "its own minimum again"


def test_a_window_is_a_ceiling() -> None:
    run = Clocked(queue_task("a", 10, schedule=office(most=3)))
    assert run.for_s(2, a=5000)[0] >= 10
    assert run.for_s(2, a=5000) == [3]
    run.set("2026-11-30T18:00:00")
    assert run.for_s(10, a=5000)[0] > 3


@pytest.mark.parametrize("limits", [{"most": 0}, {"least": 3, "most": 3}, {"least": 2, "most": 3}])
@pytest.mark.parametrize("reading", [0, 5000, None])
def test_a_ceiling_counts_at_once_also_between_equal_limits_and_without_a_reading(
    limits: dict[str, int], reading: int | None
) -> None:
    run = Clocked(queue_task("a", 10, min_containers=10, schedule=office(**limits)))
    assert run.for_s(1.5, a=5000)[0] >= 10
    run.set("2026-11-30T08:00:00")
    assert run.for_s(0.5, a=reading) == [limits["most"]]
    assert run.for_s(1, a=5000) == [limits["most"]]


def test_a_ceiling_waits_until_a_paused_task_is_resumed() -> None:
    run = Clocked(queue_task("a", 10, schedule=office(most=3)))
    run.tasks.overrides["a"] = Override(None)
    assert run.for_s(4, a=0) == [10]
    run.tasks.overrides.clear()
    assert run.for_s(0.5, a=5000) == [3]


@pytest.mark.parametrize("reading", [0, 5000])
def test_what_was_adopted_above_equal_limits_is_lowered(reading: int) -> None:
    run = Driven(queue_task("a", 5, min_containers=3, max_containers=3, max_delta=0))
    assert run.for_s(0.5, a=None) == [5], "a task without a reading stays as it is"
    assert run.for_s(0.5, a=reading) == [3]


def test_a_window_raises_the_ceiling() -> None:
    run = Clocked(queue_task("a", 2, max_containers=2, max_delta=2, schedule=office(most=12)))
    assert run.for_s(2, a=5000) == [2]
    assert run.for_s(30, a=5000) == [12]


def test_a_priority_for_the_night() -> None:
    run = Clocked(queue_task("a", 10, schedule=office(priority=3)), queue_task("b", 10, priority=2))
    assert run.for_s(2, a=5000, b=5000)[0] >= 10, "it is the more important one"
    assert run.for_s(20, a=5000, b=5000) == [0, 20]


def test_a_target_for_the_day() -> None:
    run = Clocked(queue_task("a", 1, schedule=office(length=5)))
    assert run.for_s(2, a=40) == [1], "40 are fewer than 50"
    assert run.for_s(5, a=40)[0] > 5
    run.set("2026-11-30T18:00:00")
    run.beat(a=40)
    assert run.tasks.tasks[0].target.length == TARGET  # type: ignore[attr-defined]


def test_a_target_while_the_fallback_is_in_force() -> None:
    run = Clocked(queue_task("a", 1, schedule=office(length=5), **falls_back(3)), at="2026-11-30T08:00:00")
    run.for_s(3)
    assert run.tasks.tasks[0].falling_back
    run.set("2026-11-30T18:00:00")
    run.for_s(1)
    run.for_s(1, a=0)
    assert run.tasks.tasks[0].target.length == TARGET  # type: ignore[attr-defined]


def test_a_pin_goes_before_a_window_and_the_window_is_there_afterwards() -> None:
    run = Clocked(queue_task("a", 2, schedule=office(least=6)))
    run.tasks.overrides["a"] = Override(2)
    assert run.for_s(5, a=5000) == [2]
    task = run.tasks.tasks[0]
    del run.tasks.overrides["a"]
    run.for_s(1, a=0)
    assert (task.min_containers, task.max_containers) == (6, CAP)
    run.set("2026-11-30T18:00:00")
    run.for_s(1, a=0)
    assert (task.min_containers, task.max_containers) == (0, CAP)


def test_a_change_of_the_configuration_in_a_window() -> None:
    run = Clocked(queue_task("a", 8, max_containers=4, schedule=office(most=8)), at="2026-11-30T09:00:00")
    run.for_s(2, a=5000)
    task = run.tasks.tasks[0]
    changed = dataclasses.replace(task, max_containers=6, schedule=office(most=9, least=1))
    run.tasks.apply(Change((changed,)))
    assert task.max_containers == 9, "at once, as the limits of a window are those that count"
    run.set("2026-11-30T18:00:00")
    run.for_s(1, a=5000)
    assert (task.min_containers, task.max_containers) == (0, 6)
    run.tasks.apply(Change((dataclasses.replace(task, max_containers=5, schedule=None),)))
    run.decider.follow(0)
    run.for_s(1, a=5000)
    assert task.max_containers == 5


def test_a_clock_that_is_set_back() -> None:
    run = Clocked(queue_task("a", 1, schedule=office(least=6)), at="2026-11-30T09:00:00")
    assert run.for_s(1, a=0) == [6]
    run.set("2026-11-30T07:00:00")
    run.for_s(1, a=0)
    assert run.tasks.tasks[0].min_containers == 0


def test_the_log_says_what_opens_and_closes_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mssengine")
    run = Clocked(queue_task("a", 1, schedule=office(least=6)))
    run.for_s(10, a=0)
    run.set("2026-11-30T18:00:00")
    run.for_s(10, a=0)
    said = [line for line in caplog.messages if "window" in line]
    assert said == [
        "a: its window office is open: minContainers 6; next at Mon 2026-11-30 18:00: its own limits",
        "a: its window is closed: its own limits again; next at Tue 2026-12-01 08:00: minContainers 6",
    ]
    assert in_window(run.tasks.tasks[0]) == "no window is open; next at Tue 2026-12-01 08:00: minContainers 6"


def test_without_a_schedule_the_time_of_day_is_not_asked_for() -> None:
    run = Clocked(queue_task("a", 1))
    run.tasks.wall = lambda: pytest.fail("it was asked for")
    run.for_s(1, a=0)
