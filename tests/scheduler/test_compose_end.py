"""The end of an agent beside Compose: for a while it is open whether the whole project ends, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from microscaling.clients.docker.compose import COPY_OF, NUMBER
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.compose.backend import ComposeBackend
from microscaling.scheduler.compose.scheduler import STILL_S, ComposeScheduler
from microscaling.scheduler.containers.backend import ListedContainer, State


class World:
    """One service, web, with a container of Compose's that the agent has stopped, and a copy that it has
    just made."""

    def __init__(self) -> None:
        self.now = 100.0
        self.tasks = Tasks([Task("web", demand=1)], 10)
        self.scheduler = ComposeScheduler(ComposeBackend("unix:///nowhere"))
        self.scheduler.clock = lambda: self.now
        self.scheduler.reconciler = self.scheduler._make(self.tasks)
        self.scheduler.tasks = self.tasks
        self.originals = self.scheduler.backend.originals
        self.originals.event("o1", "create", "web", {NUMBER: "1"}, "", self.now, mine=False)
        self.originals.event("o1", "start", "web", {NUMBER: "1"}, "", self.now, mine=False)
        self.originals.begins("o1", "stop", self.now)
        self.originals.created("c2", "web", {NUMBER: "2", COPY_OF: "o1"}, self.now)
        listing, reconciler = self.scheduler.listing, self.scheduler.reconciler
        listing.apply(listing.ask(), [ListedContainer("c2", "web", State.RUNNING, 2.0)], self.now)
        self.copy = reconciler.by_id["c2"]
        self.scheduler.halt(self.tasks)

    def is_idle(self, after_s: float) -> bool:
        self.now = 100.0 + after_s
        return self.scheduler.idle(self.tasks)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.scheduler.backend.ending = False  # there is no engine that could start anything again
    world.scheduler.cleanup()


def test_an_agent_that_ends_alone_leaves_its_last_copies(world: World) -> None:
    world.scheduler.leave(world.tasks)
    assert not world.is_idle(STILL_S - 0.1)
    assert world.is_idle(STILL_S)
    assert not world.copy.unwanted


def test_the_last_copies_go_with_the_project(world: World) -> None:
    world.scheduler.leave(world.tasks)
    assert not world.is_idle(0.5)
    world.originals.stirred_at = world.now
    assert not world.is_idle(0.6), "the copy is to go first"
    assert world.copy.unwanted


def test_what_compose_has_made_is_started_again_when_it_is_known_that_the_agent_ends_alone(
    world: World,
) -> None:
    world.scheduler.drain(world.tasks)
    world.scheduler.reconciler.forget(world.copy)  # it has gone
    assert not world.is_idle(STILL_S - 0.1)
    assert world.is_idle(STILL_S)


def test_nothing_is_waited_for_once_the_project_is_known_to_end(world: World) -> None:
    world.scheduler.drain(world.tasks)
    world.scheduler.reconciler.forget(world.copy)
    assert not world.is_idle(0.1)
    world.originals.stirred_at = world.now
    assert world.is_idle(0.2)
