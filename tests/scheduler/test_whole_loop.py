"""Measure, decide, start, stop, fail, repair: all of it together, in virtual time."""

from __future__ import annotations

import random

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.metric.toy import ToyMetric
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from tests.scheduler.simulated_engine import Faults, SimulatedEngine

CAP = 10
BEAT_S = 0.5


class Loop:
    """An agent without threads: a beat every half second, and an allocation whenever something changed."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.rng = random.Random(seed)
        tasks = [
            queue_task("web", 1, minimum=2),
            queue_task("mail", 2, minimum=1),
            Task("batch", priority=3, min_containers=1, max_containers=CAP, max_delta=CAP - 1),
        ]
        tasks[-1].target = RemainderTarget(CAP)
        self.tasks = Tasks(tasks, CAP)
        self.engine = SimulatedEngine(self.tasks, self.rng, faults)
        self.decider = Decider(self.tasks, Readings(tasks, 3 * BEAT_S))
        self.engine.list()
        self.engine.run(1.0)

    def beat(self) -> None:
        self.decider.beat(self.engine.now)
        self.engine.reconciler.acting = True
        self.engine.tick()
        end = self.engine.now + BEAT_S
        while self.engine.now < end:
            self.engine.run(0.05)
            if self.tasks.changed.is_set() and self.decider.reallocate():
                self.engine.tick()
        if self.rng.random() < 0.15:
            self.engine.list()
        self.check()

    def check(self) -> None:
        assert not self.engine.excess, "more than the cap ran"
        for task in self.tasks.tasks:
            assert 0 <= task.demand <= task.max_containers
        assert sum(t.demand for t in self.tasks.tasks) <= CAP + sum(t.backing_off for t in self.tasks.tasks)

    def push(self, name: str, length: int) -> None:
        self.tasks.get_task(name).metric.current = length

    def running(self) -> dict[str, int]:
        return {t.name: self.engine.running(t.name) for t in self.tasks.tasks}


def queue_task(name: str, priority: int, minimum: int) -> Task:
    task = Task(name, priority=priority, min_containers=minimum, max_containers=CAP, max_delta=CAP - minimum)
    task.target, task.metric = QueueLengthTarget(50), ToyMetric(50)
    return task


def settle(loop: Loop, beats: int = 40) -> None:
    for _ in range(beats):
        loop.beat()


def test_a_hand_over_there_and_back() -> None:
    loop = Loop(1, Faults())
    settle(loop)
    assert loop.running() == {"web": 2, "mail": 1, "batch": 7}
    loop.push("web", 500)
    settle(loop)
    assert loop.running() == {"web": 8, "mail": 1, "batch": 1}
    loop.push("web", 0)
    settle(loop)
    assert loop.running() == {"web": 2, "mail": 1, "batch": 7}


def test_a_task_that_fails_gets_its_place_back_from_a_less_important_one() -> None:
    loop = Loop(1, Faults(refused=1.0))
    settle(loop, 2)
    loop.engine.faults.refused = 0.0
    settle(loop, 200)
    assert loop.running() == {"web": 2, "mail": 1, "batch": 7}
    assert not any(t.backing_off for t in loop.tasks.tasks)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_goes_wrong_it_comes_right(seed: int) -> None:
    chances = random.Random(seed)
    faults = Faults(*(chances.choice([0.0, 0.02, 0.1]) for _ in range(6)))
    loop = Loop(seed, faults)
    for _ in range(400):
        if loop.rng.random() < 0.1:
            loop.push(loop.rng.choice(["web", "mail"]), loop.rng.choice([0, 20, 50, 300, 5000]))
        if loop.rng.random() < 0.05 and loop.engine.real:
            loop.engine.kill(loop.rng.choice(list(loop.engine.real.values())))
        loop.beat()
    loop.engine.faults = Faults()
    for name in ("web", "mail"):
        loop.push(name, 0)
    settle(loop, 400)
    assert loop.running() == {"web": 2, "mail": 1, "batch": 7}
    assert len(loop.engine.real) == CAP
