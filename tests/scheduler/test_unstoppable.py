"""Containers that end late, or never: what matters gets its places all the same. In virtual time."""

from __future__ import annotations

import random
from typing import Any

import pytest

from microscaling.demand.container import ContainerOptions
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.metric.toy import ToyMetric
from microscaling.scheduler.containers.backend import Unanswered
from microscaling.scheduler.containers.container import Operation
from microscaling.target.base import Target
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.scheduler.simulated_engine import Faults, Real, SimulatedEngine

BEAT_S = 0.5
TARGET = 10


def queue(name: str, priority: int, cap: int, target: Target, least: int = 0, grace_s: float = 1.0) -> Task:
    task = Task(name, priority=priority, min_containers=least, max_containers=cap, max_delta=cap - least)
    task.target, task.metric = target, ToyMetric(0)
    task.container = ContainerOptions(stop_grace_s=grace_s)
    return task


def remainder(name: str, priority: int, cap: int, least: int = 0, grace_s: float = 1.0) -> Task:
    return queue(name, priority, cap, RemainderTarget(cap), least, grace_s)


class Day:
    """An agent and its engine, beat by beat; a listing comes every five seconds, as the runner has it."""

    def __init__(self, cap: int, *tasks: Task, grace_s: float = 0.0) -> None:
        self.tasks = Tasks(tasks, cap)
        self.engine = SimulatedEngine(self.tasks, random.Random(3), Faults(effect_s=0.1, grace_s=grace_s))
        self.decider = Decider(self.tasks, Readings(tasks, 3 * BEAT_S))
        self.list()

    def list(self) -> None:
        self.engine.list()
        self.engine.run(0.5)

    def beat(self) -> None:
        self.decider.beat(self.engine.now)
        self.engine.reconciler.acting = True
        self.engine.tick()
        end = self.engine.now + BEAT_S
        while self.engine.now < end - 1e-6:
            self.engine.run(0.05)
            if self.tasks.changed.is_set() and self.decider.reallocate():
                self.engine.tick()
        assert not self.engine.excess, "more than the cap ran"
        if round(self.engine.now / BEAT_S) % 10 == 0:
            self.list()

    def pass_s(self, seconds: float) -> None:
        end = self.engine.now + seconds
        while self.engine.now < end:
            self.beat()

    def push(self, name: str, length: int) -> None:
        self.tasks.get_task(name).metric.current = length

    def running(self) -> dict[str, int]:
        return {task.name: self.engine.running(task.name) for task in self.tasks.tasks}

    def stick(self, name: str, count: int, how: str) -> list[Real]:
        """So many of those that would have to go next can never be ended."""
        mine = sorted(self.engine.reconciler.containers[name], key=lambda c: c.order)[-count:]
        for container in mine:
            self.engine.real[container.id].stuck = how
        return [self.engine.real[container.id] for container in mine]


RULES = [SimpleQueueLengthTarget(TARGET), QueueLengthTarget(TARGET)]


@pytest.mark.parametrize("how", ["refuses", "silent"])
@pytest.mark.parametrize("rule", RULES, ids=["SimpleQueue", "Queue"])
@pytest.mark.parametrize("stuck", [1, 2, 5])
def test_one_that_cannot_be_killed_starves_nobody(how: str, rule: Target, stuck: int) -> None:
    day = Day(8, queue("web", 1, 8, rule), remainder("batch", 2, 8))
    day.pass_s(10)
    assert day.running() == {"web": 0, "batch": 8}
    day.stick("batch", stuck, how)
    day.push("web", 100)
    day.pass_s(60)
    assert day.running() == {"web": 8 - stuck, "batch": stuck}
    web, batch = day.tasks.tasks
    assert (web.demand, batch.demand) == (8 - stuck, 0), "nothing waits for a place that does not come"
    assert (batch.running, batch.stopping) == (stuck, stuck)
    assert day.tasks.occupied_by == f"{stuck} of batch not stopping"


@pytest.mark.parametrize("how", ["refuses", "silent"])
@pytest.mark.parametrize(("least", "gets"), [(0, 1), (5, 1), (7, 0)])
def test_who_wants_one_gets_it_from_another_above_a_minimum(how: str, least: int, gets: int) -> None:
    day = Day(8, queue("web", 1, 1, RULES[0]), remainder("batch", 2, 8, least))
    day.pass_s(10)
    day.stick("batch", 1, how)
    day.push("web", 100)
    day.pass_s(40)
    assert day.running() == {"web": gets, "batch": 8 - gets}


def test_the_next_task_gives_when_all_of_one_are_stuck() -> None:
    day = Day(9, queue("web", 1, 4, RULES[1]), queue("mail", 2, 4, RULES[1]), remainder("batch", 3, 5))
    day.push("mail", 500)
    day.pass_s(20)
    assert day.running() == {"web": 0, "mail": 4, "batch": 5}
    day.stick("batch", 5, "silent")
    day.push("web", 500)
    day.pass_s(90)
    assert day.running() == {"web": 4, "mail": 0, "batch": 5}


def test_an_engine_that_answers_nothing_is_no_fault_of_its_containers(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its containers keep their places for no longer than it hangs, so no demand is lowered for them."""
    day = Day(8, queue("web", 1, 4, RULES[1]), queue("mail", 2, 4, RULES[1]), remainder("batch", 3, 8))
    day.push("mail", 500)
    day.pass_s(20)
    assert day.running() == {"web": 0, "mail": 4, "batch": 4}
    day.push("web", 500)
    with monkeypatch.context() as hangs:

        def hang(operation: Operation, reply: Any, by: object = None) -> None:
            day.engine.at(10.0, reply, operation, Unanswered("no answer within 10 s"), "")

        hangs.setattr(day.engine, "carry_out", hang)
        hangs.setattr(day, "list", lambda: None)
        day.pass_s(25)
    assert [task.demand for task in day.tasks.tasks] == [4, 4, 0]
    assert day.tasks.occupied == 0
    assert "cannot stop" not in caplog.text
    day.pass_s(60)
    assert day.running() == {"web": 4, "mail": 4, "batch": 0}


def test_once_it_can_be_ended_its_place_is_used_again() -> None:
    day = Day(8, queue("web", 1, 8, RULES[0]), remainder("batch", 2, 8))
    day.pass_s(10)
    [real] = day.stick("batch", 1, "refuses")
    day.push("web", 100)
    day.pass_s(30)
    real.stuck = ""
    day.pass_s(60)
    assert day.running() == {"web": 8, "batch": 0}
    assert (day.tasks.occupied, day.tasks.occupied_by) == (0, "")


def test_a_refusal_is_said_once_with_what_follows_from_it(caplog: pytest.LogCaptureFixture) -> None:
    day = Day(4, queue("web", 1, 1, RULES[0]), remainder("batch", 2, 4))
    day.pass_s(10)
    day.stick("batch", 1, "silent")
    day.push("web", 100)
    day.pass_s(60)
    said = [m for m in caplog.messages if "cannot stop" in m]
    assert len(said) == 1, said
    assert str(day.tasks.get_task("batch").reason) == (
        "1 too many for the cap of 4 (less 1 of batch not stopping): gives back 1"
    )


def test_a_grace_of_ten_seconds_is_waited_for_once_not_for_each() -> None:
    day = Day(10, queue("web", 1, 10, RULES[0]), remainder("batch", 2, 10, grace_s=10.0), grace_s=10.0)
    day.pass_s(15)
    day.push("web", 100)
    day.pass_s(8)
    assert day.running()["web"] == 0, "the cap holds"
    assert day.tasks.get_task("web").demand >= 8
    day.pass_s(12)
    assert day.running()["web"] == 10


def drained(length: int, running: int = 10, requested: int = 2) -> Tasks:
    """2 that work and 8 that drain."""
    task = queue("web", 1, 20, SimpleQueueLengthTarget(TARGET))
    task.demand = task.requested = requested
    task.running, task.stopping = running, running - requested
    task.metric.current = length
    return Tasks([task], 20)


@pytest.mark.parametrize(("length", "demand"), [(12, 3), (10, 2), (0, 1)])
def test_what_drains_says_nothing_of_what_is_needed(length: int, demand: int) -> None:
    tasks = drained(length)
    Decider(tasks, Readings(tasks.tasks, 1.5)).beat(0.0)
    assert tasks.tasks[0].demand == demand


def test_so_it_is_with_a_real_fleet_whose_containers_do_not_end() -> None:
    day = Day(20, queue("web", 1, 20, RULES[0]))
    web = day.tasks.tasks[0]
    day.push("web", 100)
    while web.running < 10:
        day.beat()
    day.push("web", TARGET)
    day.pass_s(2)
    had = web.running
    day.stick("web", 8, "silent")
    day.push("web", 0)
    while web.demand > had - 8:
        day.beat()
    day.push("web", 12)
    before = web.demand
    day.beat()
    assert (before, web.demand) == (2, 3)
    assert web.running >= had
    day.push("web", 0)
    day.pass_s(5)
    assert web.demand == 0, "with nothing to do it gives back"


def test_starts_that_take_long_are_waited_for_thirty_seconds_or_the_grace() -> None:
    for grace_s, waits_s in ((1.0, 30.0), (40.0, 50.0)):
        day = Day(10, queue("web", 1, 10, RULES[0], grace_s=grace_s))
        day.push("web", 100)
        day.engine.faults.effect_s = 0.01
        day.beat()
        web = day.tasks.tasks[0]
        web.demand = 2
        day.engine.faults.lost_reply = 1.0
        hang(day)
        day.engine.tick()
        began = day.engine.now
        while not web.overdue:
            day.beat()
            assert day.engine.now < began + 2 * waits_s
        assert waits_s <= day.engine.now - began <= waits_s + 6.0


def hang(day: Day) -> None:
    """From now on the engine takes what it is asked, and neither does nor answers it."""

    def never(*_: Any, **__: Any) -> None:
        pass

    day.engine.carry_out = never  # type: ignore[method-assign]
