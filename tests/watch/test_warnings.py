"""The warnings of an agent: each comes once, in time, and goes with its cause."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.demand.override import Override
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.metric.base import Source
from microscaling.metric.measurement import Measurement
from microscaling.metric.toy import ToyMetric
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from microscaling.watch.warnings import AGES, BUSY_EVERY_S, LOOKS, News, Warnings

AFTER_S = 100.0


class Queue(Source):
    key, name = "q", "redis://db/0"

    def fetch(self) -> Any:
        raise AssertionError("no warning asks a source")


class World:
    """Two tasks, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.task = Task("a", max_containers=4, target=SimpleQueueLengthTarget(10), metric=ToyMetric(5))
        self.task.metric.source = Queue()
        self.other = Task("b", max_containers=4)
        self.tasks = Tasks([self.task, self.other], 6)
        self.warnings = Warnings(self.tasks, AFTER_S)
        self.task.running = self.task.requested = self.task.demand = 2
        self.task.ideal_containers = 2
        self.moves = True

    def read(self, number: int, measured: Measurement | None = None, age_s: float = 0.2) -> None:
        self.task.metric.current, self.task.metric.measured = number, measured
        self.task.measured_at = self.now - age_s

    def run(self, seconds: float, number: int = 5, age_s: float = 0.2) -> list[News]:
        """Looks once a second. The reading goes up and down, unless `moves` is False."""
        found = []
        for i in range(round(seconds)):
            self.read(number + (i % 2 if self.moves and number else 0), age_s=age_s)
            found += self.warnings.look(self.now)
            self.now += 1
        return found


@pytest.fixture
def world() -> World:
    return World()


def only(found: list[News]) -> News:
    (one,) = found
    return one


def test_all_is_well(world: World) -> None:
    assert world.run(1000) == []
    assert world.task.warnings == {}


def test_at_the_maximum(world: World) -> None:
    world.task.running = world.task.requested = world.task.demand = 4
    world.task.ideal_containers = 7
    assert world.run(AFTER_S, 50) == []
    news = only(world.run(300, 50))
    assert news.text == (
        "has been at its maximum, 4, for 100 s, and its reading calls for 3 more: raise its maxContainers, "
        "or make its jobs quicker"
    )
    assert world.task.warnings == {"maximum": news.text}
    world.task.ideal_containers = 4
    assert only(world.run(300, 5)) == News("a", "maximum", news.text, over=True)
    assert world.task.warnings == {}


def test_a_break_begins_anew(world: World) -> None:
    world.task.running = world.task.requested = world.task.demand = 4
    for _ in range(5):
        world.task.ideal_containers = 7
        assert world.run(AFTER_S - 2, 50) == []
        world.task.ideal_containers = 4
        assert world.run(1, 5) == []


def test_below_its_wish(world: World) -> None:
    world.task.ideal_containers = 4
    world.other.requested = world.other.demand = world.other.running = 4
    news = only(world.run(300, 50))
    assert news.kind == "short"
    assert news.text.startswith("has had fewer containers than it wants for 100 s: the cap, 6, is used up: ")


def test_a_number_that_never_moves(world: World) -> None:
    world.moves = False
    assert world.run(AFTER_S) == []
    news = only(world.run(300))
    assert news.kind == "constant"
    assert news.text == (
        "its reading has been 5 for 100 s, whatever its containers did: is that the queue that they work on "
        "(redis://db/0)? microscaling check asks it now"
    )
    assert only(world.run(1, 6)).over


def test_a_number_that_may_stand_still(world: World) -> None:
    world.moves = False
    assert world.run(1000, 0) == [], "an empty queue"
    world.task.running = world.task.requested = 0
    assert world.run(1000) == [], "there is no container to work on it"
    world.task.running = world.task.requested = 2
    for _ in range(500):
        world.read(0, Measurement(5, paused=True))
        assert world.warnings.look(world.now) == [], "the queue is paused"
        world.now += 1
    world.task.override = Override(2).words()
    assert world.run(1000) == [], "by the will of a person"


def looks(world: World, at_work: int | None, seconds: float) -> tuple[int, list[News]]:
    asked, found = 0, []
    for _ in range(round(seconds)):
        found += world.run(1, 0)
        for name in world.warnings.suspects(world.now):
            asked += 1
            world.warnings.looked(name, at_work, world.now)
    return asked, found


def test_0_while_its_containers_are_at_work(world: World) -> None:
    asked, found = looks(world, 1, AFTER_S + (LOOKS + 1) * BUSY_EVERY_S)
    news = only(found)
    assert LOOKS <= asked <= LOOKS + 2
    assert news.text == (
        "its reading has been 0 for 100 s, and its containers are at work: is that the queue that they work "
        "on (redis://db/0)? microscaling check names the queues that are there"
    )
    assert only(world.run(2, 3)).over


@pytest.mark.parametrize("at_work", [0, None])
def test_idle_containers_are_seldom_looked_at(world: World, at_work: int | None) -> None:
    asked, found = looks(world, at_work, 1000)
    assert (asked <= 10, found) == (True, [])


def test_one_idle_look_ends_the_suspicion(world: World) -> None:
    for _ in range(20):
        assert looks(world, 1, AFTER_S + 2 * BUSY_EVERY_S)[1] == []
        assert looks(world, 0, BUSY_EVERY_S)[1] == []
        world.run(1, 3)


def test_readings_that_are_old(world: World) -> None:
    assert world.run(AGES - 1, age_s=0.7) == []
    news = only(world.run(100, age_s=0.7))
    assert news.text == (
        "its readings are 0.7 s old on the average, more than the 0.5 s between two of them: redis://db/0 "
        "answers too slowly: raise intervalSeconds, or ask it for less"
    )
    assert only(world.run(100, age_s=0.3)).over
    world.task.metric.interval_s = 10.0
    assert world.run(100, age_s=7.0) == [], "it is asked every 10 s"


def test_a_task_that_goes_takes_its_warnings_along(world: World) -> None:
    world.moves = False
    assert world.run(300)
    world.tasks.tasks.remove(world.task)
    assert world.warnings.look(world.now) == []
    assert world.warnings.suspects(world.now) == []
