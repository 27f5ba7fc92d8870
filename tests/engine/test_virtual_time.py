"""An hour of beats in virtual time: random queues, faults, and a scheduler that lags."""

from __future__ import annotations

import collections
import gc
import logging
import random
import tracemalloc

import pytest

from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.beats import Beats
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.metric.base import Metric, Source
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget

BEATS = 7200
BEAT_S = 0.5
PATIENCE_S = BEAT_S / 4
CAP = 40


class Queues(Source):
    """Never asked: the world below says when it answers, and what."""

    def __init__(self, key):
        self.name = self.key = key

    def fetch(self):
        raise AssertionError("there are no threads here")


class Length(Metric):
    def __init__(self, task_name, source):
        self.task_name = task_name
        self.source = source

    def read(self, answer):
        return answer[self.task_name]


def make_task(number):
    """One of twelve: three sources, all kinds of targets, minimums that add up to less than the cap."""
    name = f"t{number}"
    task = Task(name, priority=1 + number % 4, min_containers=number % 3, max_containers=20, max_delta=4)
    if number % 6 == 5:
        task.target = RemainderTarget(20)
    else:
        task.metric = Length(name, Queues(f"source {number % 3}"))
        task.target = SimpleQueueLengthTarget(50) if number % 2 else QueueLengthTarget(50)
    return task


class World:
    """What is around the engine, moved on by `random` only."""

    def __init__(self, seed, cap=CAP, policies=False):
        self.random = random.Random(seed)
        self.tasks = Tasks([make_task(n) for n in range(12)], cap)
        for task in self.tasks.tasks[:8] if policies else ():
            task.fallback = Fallback(self.random.randint(1, 4), self.random.randint(0, 30))
        self.readings = Readings(self.tasks.tasks, 3 * BEAT_S)
        self.decider = Decider(self.tasks, self.readings, 5.0 if policies else 0.0)
        self.fell_back = 0
        self.beats = Beats(BEAT_S, 1000.0)
        self.lengths = {task.name: 50 for task in self.tasks.tasks}
        self.answers = []  # (when, poll)
        self.decisions = 0
        self.changes = 0

    def beat(self):
        """What the engine's thread does at a beat, and what happens until the next."""
        asked = self.beats.due
        for poll in self.readings.start(asked, PATIENCE_S):
            delay = self.random.choices([0.003, 0.2, 0.8, 10.0], [90, 6, 3, 1])[0]
            self.answers.append((asked + delay, poll))
        now = asked + (PATIENCE_S if self.readings.awaited() else 0.0)
        self.deliver(now)
        self.readings.give_up()
        self.changes += self.decider.beat(now)
        self.decisions += 1
        self.fell_back += any(task.falling_back for task in self.tasks.tasks)
        self.check()
        for _ in range(self.random.randrange(4)):
            self.something_happens()
        return self.beats.next(now)

    def deliver(self, now):
        """The answers that have come until `now`; one in ten is a fault."""
        for when, poll in [due for due in self.answers if due[0] <= now]:
            self.answers.remove((when, poll))
            kind = self.random.choices(["good", "error", "bad number"], [90, 7, 3])[0]
            answer = dict(self.lengths)
            if kind == "bad number":
                answer[self.random.choice(list(answer))] = self.random.choice([-5, None, float("nan")])
            poll.finish(when, answer, "gone" if kind == "error" else "")

    def something_happens(self):
        self.random.choice([self.queue_moves, self.scheduler_moves, self.scheduler_moves, self.one_dies])()

    def queue_moves(self):
        name = self.random.choice(list(self.lengths))
        moves = [0, self.random.randrange(400), max(0, self.lengths[name] + self.random.randint(-40, 40))]
        self.lengths[name] = self.random.choice(moves)

    def scheduler_moves(self):
        """It catches up with some tasks, and only with a part of what they should have."""
        with self.tasks as tasks:
            for task in self.random.sample(tasks.tasks, 5):
                task.requested = task.demand
                task.running += max(-3, min(3, task.requested - task.running))
            tasks.changed.set()
        self.changes += self.decider.reallocate()
        self.check()

    def one_dies(self):
        """The scheduler starts it anew, so only `running` is lower for a while."""
        task = self.random.choice(self.tasks.tasks)
        task.running = max(0, task.running - 1)
        self.changes += self.decider.reallocate()
        self.check()

    def check(self):
        tasks = self.tasks.tasks
        assert sum(task.demand for task in tasks) <= self.tasks.max_containers
        assert all(task.min_containers <= task.demand <= task.max_containers for task in tasks)


@pytest.fixture
def lines():
    """Counts what the engine says at WARNING, and keeps it from pytest, which would grow."""
    counts = collections.Counter()

    def swallow(record):
        counts[record.levelname] += 1
        return False

    log = logging.getLogger("mssengine")
    log.addFilter(swallow)
    yield counts
    log.removeFilter(swallow)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_hour_of_beats_keeps_the_cap_the_minimums_and_the_time(seed, lines):
    world = World(seed)
    due = [world.beat() for _ in range(BEATS)]
    assert due == [1000.0 + BEAT_S * n for n in range(1, BEATS + 1)]
    assert world.decisions == BEATS
    assert world.changes > BEATS / 10
    assert 0 < lines["WARNING"] <= 13 * 3600 / 30  # ten tasks and three sources, each once in 30 s


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize("seed", [5, 6])
def test_so_does_an_hour_with_fallbacks_and_windows(seed):
    world = World(seed, policies=True)
    for _ in range(BEATS):
        world.beat()
    assert world.fell_back > BEATS / 20
    assert world.changes > BEATS / 10


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize("policies", [False, True])
def test_an_hour_of_beats_does_not_grow(policies):
    world = World(3, policies=policies)
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(6):
            for _ in range(BEATS // 6):
                world.beat()
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes[2:]) - min(sizes[:2]) < 100_000, sizes
