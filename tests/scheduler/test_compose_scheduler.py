"""How the scheduler makes room for Compose, without an engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from microscaling.scheduler.compose.scheduler import STILL_S
from microscaling.scheduler.containers.backend import Event
from microscaling.scheduler.containers.container import Operation, Phase, Work
from microscaling.scheduler.containers.inventory import OTHERS_S
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


def test_what_compose_has_stopped_is_left_as_it_is(world: World) -> None:
    """`start` and `rm` fail if a container that they have listed is no more."""
    world.stop("o1", "c2")
    assert world.scheduler.reconciler.by_id["c2"].phase is Phase.EXITED
    assert world.planned(200.0) == []
    world.scheduler.halt(world.tasks)
    world.scheduler.leave(world.tasks)
    world.now += STILL_S
    assert world.scheduler.idle(world.tasks), "nor does its end wait for them"
    world.scheduler.drain(world.tasks)
    assert (Work.REMOVE, "c2") in world.planned(300.0), "with MSS_ON_EXIT=stop no copy stays"


def test_a_copy_that_was_stopped_while_its_service_goes_on_is_removed_and_made_anew(world: World) -> None:
    world.stop("c2")
    assert world.planned(100.0 + OTHERS_S - 0.1) == [], "it may be about to come back"
    assert [work for work, _ in world.planned(100.0 + OTHERS_S)] == [Work.REMOVE, Work.CREATE]


def test_a_copy_that_was_killed_is_made_anew_at_once(world: World) -> None:
    world.tell("c2", "kill", "9")
    world.tell("c2", "die", "137")
    assert [work for work, _ in world.planned(100.0 + STILL_S)] == [Work.CREATE]


def test_copies_that_compose_has_stopped_go_when_the_service_goes_on_without_them(world: World) -> None:
    world.stop("o1", "c2")
    world.now = 110.0
    world.tell("o1", "start")
    world.task.demand = 2  # decided anew
    assert world.planned(110.0 + OTHERS_S - 0.1) == [], "Compose may be about to start it as well"
    assert (Work.REMOVE, "c2") in world.planned(110.0 + OTHERS_S)


def test_a_copy_that_start_has_started_first_is_not_stopped_again(world: World) -> None:
    world.stop("o1", "c2")
    world.now = 120.0
    world.tell("c2", "start")
    assert world.planned(120.0 + OTHERS_S - 0.1) == []
    world.tell("o1", "start")
    world.task.demand = 2
    assert world.planned(world.now + STILL_S) == []
    assert world.task.running == 2


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
    assert room(world, 100.0 + OTHERS_S) == 2


def test_what_compose_is_about_to_start_has_its_places(world: World) -> None:
    world.tasks.max_containers = 4
    assert room(world, 100.0) == 2
    world.tell("o3", "create")
    assert room(world, 103.0) == 1
    world.tell("o3", "start")
    assert room(world, 104.0) == 1


def test_nothing_is_started_while_a_service_comes(world: World) -> None:
    world.task.demand = 3
    world.scheduler.on_event(Event("create", "n1", "new", foreign=True))
    assert world.planned(100.0 + STILL_S - 0.1) == []
    assert [work for work, _ in world.planned(100.0 + STILL_S)] == [Work.CREATE]
