"""How the scheduler makes room for Compose, without an engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from microscaling.scheduler.compose.scheduler import COMPOSE_REMOVES_S, STILL_S
from microscaling.scheduler.containers.backend import Event
from microscaling.scheduler.containers.container import Operation, Phase, Work
from tests.scheduler.compose_world import COPY, OWN, ComposeWorld

TERM = "15"


class World(ComposeWorld):
    """Its operations are not carried out."""

    def __init__(self, demand: int = 2) -> None:
        super().__init__(demand)
        self.scheduler._submit = lambda operation: self.submitted.append(
            (operation.work, operation.container.id)
        )  # type: ignore[method-assign]
        self.submitted: list[tuple[Work, str]] = []
        self.scheduler.reconciler.acting = True

    def _submit(self, operation: Operation) -> None:
        self.submitted.append((operation.work, operation.container.id))

    def tell(self, id: str, kind: str, detail: str = "") -> None:
        """An event that is none of ours."""
        effect = self.originals.event(id, kind, "web", COPY if id[0] == "c" else OWN, detail, self.now, False)
        self.scheduler.on_event(Event(kind, id, "web", foreign=effect.foreign, returns=effect.returns))

    def stop(self, *ids: str) -> None:
        """As `docker compose stop` does, or the first half of `restart`."""
        for id in ids:
            self.tell(id, "kill", TERM)
            self.tell(id, "die", "0")

    def planned(self, now: float) -> list[tuple[Work, str]]:
        """What is to be done by then."""
        self.now = now
        with self.scheduler._change() as at:
            self.scheduler._stand(at)
            self.scheduler.reconciler.reconcile(at)
        planned, self.submitted = self.submitted, []
        return planned


@pytest.fixture
def world() -> Iterator[World]:
    with contextlib.closing(World()) as world:
        yield world


def test_a_copy_that_compose_has_stopped_is_left_to_it_for_a_while(world: World) -> None:
    """As in `stop`, then `rm`, which fails if a container that it has listed is no more."""
    world.stop("o1", "c2")
    assert world.scheduler.reconciler.by_id["c2"].phase is Phase.EXITED
    assert world.planned(100.0 + COMPOSE_REMOVES_S - 0.1) == []
    assert (Work.REMOVE, "c2") in world.planned(100.0 + COMPOSE_REMOVES_S)


def room(world: World, now: float) -> int:
    world.planned(now)
    return world.scheduler.reconciler.room()


def test_what_compose_restarts_keeps_its_places(world: World) -> None:
    """Between the two halves of a `restart` a busy engine takes longer than the agent is still for."""
    world.tasks.max_containers = 2
    world.stop("o1", "c2")
    assert room(world, 100.0 + STILL_S + 1.0) == 0
    for id in ("o1", "c2"):
        world.tell(id, "start")
    assert room(world, 104.0) == 0
    assert world.task.running == 2


def test_what_compose_has_stopped_for_good_gives_its_places_back(world: World) -> None:
    world.tasks.max_containers = 2
    world.stop("o1", "c2")
    world.planned(100.0 + COMPOSE_REMOVES_S)  # the operations that free them
    for container in list(world.scheduler.reconciler.all()):
        world.scheduler.reconciler.on_done(Operation(Work.REMOVE, container), None, world.now)
    assert room(world, 106.0) == 2


def test_what_compose_is_about_to_start_has_its_places(world: World) -> None:
    world.tasks.max_containers = 4
    assert room(world, 100.0) == 2
    world.tell("o3", "create")
    assert room(world, 103.0) == 1
    world.tell("o3", "start")
    assert room(world, 104.0) == 1
