"""What the log says when nothing scales."""

from __future__ import annotations

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.engine.status import MAX_FIRST, Status
from microscaling.metric.toy import ToyMetric
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget


def queue(name: str = "mailer", items: int = 15, most: int = 4, priority: int = 1) -> Task:
    target = SimpleQueueLengthTarget(10)
    task = Task(name, priority=priority, max_containers=most, max_delta=most, target=target)
    task.metric = ToyMetric(items)
    return task


class Beats:
    """Decides twice a second of virtual time, and carries each decision out at once."""

    def __init__(self, caplog: pytest.LogCaptureFixture, *tasks: Task, cap: int = 10) -> None:
        caplog.set_level("INFO", "mssdemand")
        self.caplog = caplog
        self.tasks = Tasks(tasks, cap)
        self.decider = Decider(self.tasks, Readings(tasks, 1.5))
        self.now = 100.0

    def pass_s(self, seconds: float) -> list[str]:
        """Returns the lines about the state of tasks."""
        self.caplog.clear()
        for _ in range(int(seconds * 2)):
            self.decider.beat(self.now)
            self.now += 0.5
            for task in self.tasks.tasks:
                task.requested = task.running = task.demand
        return [record.getMessage() for record in self.caplog.records if record.name == "mssdemand"]


def test_each_task_has_a_line_after_its_first_reading(caplog: pytest.LogCaptureFixture) -> None:
    late = queue("late", items=3)
    late.held = "no answer yet"
    rest = Task("rest", max_containers=10, target=RemainderTarget(10))
    beats = Beats(caplog, queue(), late, rest)
    assert beats.pass_s(2) == ["mailer: queue 15 of target 10, 0 of 0..4 run: wants 1"]
    late.held = ""
    assert beats.pass_s(2) == ["late: queue 3 of target 10, 0 of 0..4 run"]
    assert beats.pass_s(20) == []


def test_thousands_of_tasks_do_not_flood_the_log() -> None:
    tasks = Tasks([queue(f"task-{i}") for i in range(3000)], 10)
    assert len(Status(tasks).look(0.0)) == MAX_FIRST


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda task, tasks: None, "it is at its maximum, 4"),
        (lambda task, tasks: setattr(task, "backing_off", True), "it keeps failing and backs off"),
        (lambda task, tasks: setattr(task, "is_scalable", False), "it is not scalable"),
        (lambda task, tasks: setattr(task, "held", "no answer"), "held: no answer"),
        (lambda task, tasks: setattr(tasks, "hold", "a second agent"), "a second agent"),
    ],
)
def test_a_task_that_is_short_says_why_once_a_minute(
    caplog: pytest.LogCaptureFixture, spoil: object, why: str
) -> None:
    task = queue(items=500)
    beats = Beats(caplog, task)
    if why.startswith("it is at"):
        beats.pass_s(10)
    assert callable(spoil)
    spoil(task, beats.tasks)
    beats.pass_s(119)
    lines = beats.pass_s(61)
    assert len(lines) == 1
    assert lines[0].startswith("mailer: ")
    assert lines[0].endswith(f"; {why}")
    assert len(beats.pass_s(180)) == 3


def test_the_cap_and_what_takes_it_are_named(caplog: pytest.LogCaptureFixture) -> None:
    first, second = queue("first", 500, most=4), queue("second", 500, most=4, priority=2)
    beats = Beats(caplog, first, second, cap=4)
    beats.pass_s(130)
    assert beats.pass_s(60) == [
        "first: queue 500 of target 10, 4 of 0..4 run: wants 1; it is at its maximum, 4",
        "second: queue 500 of target 10, 0 of 0..4 run: wants 1; the cap, 4, is used up",
    ]
    second.stopping = 0
    first.stopping = 2
    beats.tasks.occupied, beats.tasks.occupied_by = 2, "2 of first not stopping"
    first.stopping = 0
    assert beats.pass_s(60)[-1].endswith("the cap, 4, is used up (less 2 of first not stopping)")


def test_a_task_that_moves_is_not_short(caplog: pytest.LogCaptureFixture) -> None:
    task = queue(items=500)
    beats = Beats(caplog, task)
    beats.pass_s(59)
    task.metric.current = 5
    assert beats.pass_s(180) == []
