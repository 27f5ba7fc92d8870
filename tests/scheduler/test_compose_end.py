"""The end of an agent beside Compose: for a while it is open whether the whole project ends, too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from microscaling.scheduler.compose.scheduler import STILL_S
from tests.scheduler.compose_world import ComposeWorld


class World(ComposeWorld):
    """The agent has stopped the container of Compose's, and has just made the copy; now it is to end."""

    def __init__(self) -> None:
        super().__init__()
        self.originals.begins("o1", "stop", self.now)
        self.scheduler.reconciler.forget(self.scheduler.reconciler.by_id["o1"])
        self.copy = self.scheduler.reconciler.by_id["c2"]
        self.scheduler.halt(self.tasks)

    def is_idle(self, after_s: float) -> bool:
        self.now = 100.0 + after_s
        return self.scheduler.idle(self.tasks)


@pytest.fixture
def world() -> Iterator[World]:
    with contextlib.closing(World()) as world:
        yield world


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
