"""What an agent finds, and what appears later that it has not created: found by `make beats`."""

from __future__ import annotations

import random

import pytest

from microscaling.errors import TemporaryError
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.container import Work
from tests.scheduler.simulated_engine import Faults, Real, SimulatedEngine, small_world


@pytest.fixture
def world() -> SimulatedEngine:
    """Room for two containers, on an engine that does at once what it is asked."""
    return small_world(random.Random(1), Faults(effect_s=0.02, reply_s=0.0, event_s=0.0), cap=2)


def listed(world: SimulatedEngine, seconds: float = 1.0) -> None:
    world.list()
    world.run(seconds)


def say(world: SimulatedEngine, kind: str, real: Real) -> None:
    world.reconciler.on_event(Event(kind, real.id, real.task, real.nonce), world.now)


def test_what_an_agent_that_was_killed_may_have_started_takes_a_place_until_it_is_gone(
    world: SimulatedEngine,
) -> None:
    world.add("a", State.RUNNING, "earlier-1")
    world.add("a", State.CREATED, "earlier-2")
    listed(world)
    reconciler, now = world.reconciler, world.now
    world.tasks.get_task("b").demand = 1
    reconciler.acting = True
    reconciler.reconcile(now)
    remove, create = reconciler.take()
    assert (remove.work, create.work) == (Work.REMOVE, Work.CREATE)
    reconciler.on_done(create, None, now, "c9")
    assert not reconciler.take(), (
        "it would be the third to run, if the other agent's start is carried out now"
    )
    reconciler.on_done(remove, None, now)
    assert [operation.work for operation in reconciler.take()] == [Work.START]


def test_what_ends_while_the_first_listing_is_under_way_is_removed(world: SimulatedEngine) -> None:
    ended = world.add("a", State.RUNNING, "earlier-1")
    asked, shown = world.listing.ask(), world.snapshot()
    ended.state = State.EXITED
    say(world, "die", ended)
    world.listing.apply(asked, shown, world.now)
    assert world.tasks.get_task("a").requested == 0
    world.decide({})
    world.run(3)
    assert not world.real


def test_what_starts_while_the_first_listing_is_under_way_is_adopted(world: SimulatedEngine) -> None:
    started = world.add("a", State.CREATED, "earlier-1")
    asked, shown = world.listing.ask(), world.snapshot()
    started.state = State.RUNNING
    say(world, "start", started)
    world.listing.apply(asked, shown, world.now)
    task = world.tasks.get_task("a")
    assert (task.demand, task.requested, task.running) == (1, 1, 1)


def test_the_start_of_a_container_that_has_gone_meanwhile_is_no_second_agent(world: SimulatedEngine) -> None:
    gone = world.add("a", State.CREATED, "earlier-1")
    listed(world)
    world.decide({})
    world.run(1)
    assert gone.id not in world.real
    listed(world, 3.0)
    listed(world, 3.0)
    say(world, "start", gone)
    assert not world.tasks.hold


def test_what_has_gone_is_not_remembered_for_ever(world: SimulatedEngine) -> None:
    world.add("a", State.EXITED, "earlier-1")
    listed(world)
    world.decide({})
    world.run(2)
    assert world.reconciler.tombstones
    for _ in range(5):
        listed(world, 5.0)
    assert not world.reconciler.tombstones


def test_a_create_that_was_carried_out_late_is_no_second_agent(world: SimulatedEngine) -> None:
    listed(world, 13.0)
    late = world.add("a", State.CREATED, "earlier-7")
    say(world, "create", late)
    assert not world.tasks.hold
    world.decide({})
    for _ in range(10):
        listed(world, 2.0)
    assert late.id not in world.real


def test_what_is_created_and_never_started_does_not_hold_all_tasks_for_ever(world: SimulatedEngine) -> None:
    listed(world, 60.0)
    late = world.add("a", State.CREATED, "earlier-7")
    say(world, "create", late)
    assert world.tasks.hold, "a second agent, as far as anybody can tell"
    world.decide({"a": 1})
    listed(world, 14.0)
    assert world.tasks.hold
    for _ in range(3):
        listed(world, 2.0)
    assert not world.tasks.hold
    assert late.id not in world.real


def test_a_second_agent_that_has_started_any_keeps_what_it_has_not(world: SimulatedEngine) -> None:
    listed(world, 60.0)
    theirs = [world.add("a", state, f"other-{state.value}") for state in (State.CREATED, State.RUNNING)]
    for kind in ("start", "create"):  # the wrong way round
        say(world, kind, theirs[1])
    world.decide({})
    for _ in range(20):
        listed(world, 2.0)
    assert list(world.real.values()) == theirs
    assert world.tasks.hold


def test_a_word_that_comes_late_does_not_make_what_runs_unstarted(world: SimulatedEngine) -> None:
    listed(world, 60.0)
    theirs = world.add("a", State.RUNNING, "other-1")
    for kind in ("start", "create"):
        say(world, kind, theirs)
    world.decide({})
    world.run(20)
    world.listing.apply(world.listing.ask(), [], world.now)
    assert not world.reconciler.by_id, "nobody has taken it for what an earlier agent has left"


# What the fleet does itself


def test_a_start_that_was_not_answered_is_not_asked_for_again_by_an_agent_that_leaves(
    world: SimulatedEngine,
) -> None:
    listed(world)
    reconciler, now = world.reconciler, world.now
    world.tasks.get_task("a").demand = 1
    reconciler.acting = True
    reconciler.reconcile(now)
    (create,) = reconciler.take()
    reconciler.on_done(create, None, now, "c1")
    (start,) = reconciler.take()
    reconciler.on_done(start, TemporaryError("no answer within 10 s"), now)
    reconciler.leave()
    seen = ListedContainer("c1", "a", State.CREATED, 0.0, start.container.nonce)
    world.listing.apply(world.listing.ask(), [seen], now + 5.0)
    assert [operation.work for operation in reconciler.take()] == [Work.REMOVE]


def test_a_demand_that_comes_back_while_the_engine_is_away_stops_nothing(world: SimulatedEngine) -> None:
    listed(world)
    world.decide({"a": 2})
    world.run(2)
    before = set(world.real)
    world.reconciler.away = True
    world.decide({"a": 1})
    world.decide({"a": 2})
    listed(world, 3.0)
    assert set(world.real) == before


def test_a_start_that_was_not_answered_keeps_its_place_until_the_container_is_removed(
    world: SimulatedEngine,
) -> None:
    listed(world)
    reconciler, now = world.reconciler, world.now
    task = world.tasks.get_task("a")
    task.demand = 1
    reconciler.acting = True
    reconciler.reconcile(now)
    (create,) = reconciler.take()
    reconciler.on_done(create, None, now, "c1")
    (start,) = reconciler.take()
    reconciler.on_done(start, TemporaryError("no answer within 10 s"), now)
    say(world, "start", Real("c1", "a", start.container.nonce, State.RUNNING, now))
    task.demand = 0
    reconciler.reconcile(now + 10.0)
    (stop,) = reconciler.take()
    reconciler.on_done(stop, None, now + 10.0)
    assert reconciler.room() == 1, "the first start may still be carried out, and starts it once more"
    (remove,) = reconciler.take()
    assert remove.work is Work.REMOVE, "at once, not when there is time"
    reconciler.on_done(remove, None, now + 10.0)
    assert reconciler.room() == 2
