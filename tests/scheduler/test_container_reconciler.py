"""What a fleet makes of demand, events, answers and listings; the engine's time is virtual."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.container import Phase
from microscaling.scheduler.containers.ends import REMOVE_AFTER_S
from tests.scheduler.simulated_engine import Faults, SimulatedEngine, small_world


@pytest.fixture
def world() -> SimulatedEngine:
    """Nothing there, nothing goes wrong, and the first listing has been taken in."""
    world = small_world(random.Random(1), Faults())
    listed(world)
    return world


def listed(world: SimulatedEngine) -> None:
    world.list()
    world.run(1.0)


def running(world: SimulatedEngine) -> dict[str, int]:
    return {task.name: world.running(task.name) for task in world.tasks.tasks}


def test_what_is_there_is_adopted_and_left_alone_until_the_first_decision() -> None:
    world = small_world(random.Random(1), Faults())
    kept = [world.add("a", State.RUNNING), world.add("a", State.RUNNING, nonce="earlier-1")]
    stale = [world.add("a", State.CREATED), world.add("b", State.EXITED)]
    listed(world)
    world.run(60)
    task = world.tasks.get_task("a")
    assert (task.demand, task.requested, task.running) == (2, 2, 2)
    assert list(world.real.values()) == kept + stale
    world.decide({})
    world.run(5)
    assert list(world.real.values()) == kept, (
        "what never started, or has exited, goes with the first decision"
    )


def test_what_is_lost_keeps_its_share(world: SimulatedEngine) -> None:
    world.decide({"a": 3})
    world.run(10)
    requested = []
    world.reconciler.tasks.changed.clear()
    world.kill(next(iter(world.real.values())))
    while world.tasks.get_task("a").running == 3:
        world.run(0.01)
    requested.append(world.tasks.get_task("a").requested)
    world.run(10)
    assert requested == [3]
    assert running(world)["a"] == 3


def test_what_the_engine_calls_created_again_does_not_run(world: SimulatedEngine) -> None:
    """As Docker 20.10 did that was killed in the middle of a start, and once more later."""
    world.decide({"a": 1})
    world.run(10)
    id, real = next(iter(world.real.items()))
    real.state = State.CREATED
    listed(world)
    world.run(10)
    assert id not in world.real
    assert running(world)["a"] == 1


def test_the_newest_go_first(world: SimulatedEngine) -> None:
    world.decide({"a": 2})
    world.run(2)
    old = set(world.real)
    world.decide({"a": 5})
    world.run(2)
    world.decide({"a": 2})
    world.run(2)
    assert {id for id, real in world.real.items() if real.state is State.RUNNING} == old


@pytest.mark.parametrize(("draining", "left_at_once"), [(False, 3), (True, 0)])
def test_what_was_stopped_is_removed_when_there_is_time(
    world: SimulatedEngine, draining: bool, left_at_once: int
) -> None:
    world.decide({"a": 3})
    world.run(2)
    world.faults = Faults(effect_s=0.01, reply_s=0.0, event_s=0.0)
    if draining:
        world.reconciler.drain()
    world.decide({"a": 0})
    world.run(0.5)
    assert (len(world.real), running(world)["a"]) == (left_at_once, 0)
    due = world.reconciler.next_due()
    assert (due is None) == draining
    world.run(REMOVE_AFTER_S)
    world.tick()
    world.run(0.5)
    assert not world.real


def test_a_time_that_has_come_stays_until_it_has_been_planned(world: SimulatedEngine) -> None:
    world.decide({"a": 1})
    world.run(2)
    world.decide({"a": 0})
    world.run(0.9)
    due = world.reconciler.next_due()
    assert due is not None
    assert due > world.now
    world.run(REMOVE_AFTER_S)
    assert world.reconciler.next_due() == due
    world.tick()
    assert world.reconciler.next_due() is None


def test_what_is_created_waits_for_a_place(world: SimulatedEngine) -> None:
    world.decide({"b": 8})
    world.run(2)
    world.faults.effect_s = 5.0
    world.decide({"a": 8, "b": 0})
    while world.running("b") == 8:
        assert world.running("a") == 0
        world.run(0.01)
    parked = [c for c in world.reconciler.all() if c.task.name == "a" and c.phase is Phase.CREATED]
    assert parked, "created ahead, while the others are still being stopped"
    world.run(30)
    assert running(world) == {"a": 8, "b": 0, "c": 0}


def test_a_task_that_keeps_failing_backs_off_and_comes_back(world: SimulatedEngine) -> None:
    world.faults.refused = 1.0
    world.decide({"a": 4})
    world.run(2)
    task = world.tasks.get_task("a")
    assert task.backing_off
    assert (task.demand, task.requested) == (0, 0), "its share is free for others"
    failure, due = task.failure, world.reconciler.crash_backoffs.of("a").until
    assert failure is not None
    assert (failure.exit_code, failure.retry_at) == (None, due)
    assert "could not be" in failure.why
    tries = world.reconciler.crash_backoffs.of("a").backoff
    for _ in range(100):
        world.tick()
        world.run(0.1)
    assert 3 <= tries.tries <= 5, "1 s, doubling"
    world.faults.refused = 0.0
    for _ in range(300):
        world.tick()
        world.run(0.1)
    assert not task.backing_off
    assert running(world)["a"] == 1, "one container was tried, and stayed up"
    assert task.failure is not None, "it may fail again"
    for _ in range(800):
        world.tick()
        world.run(0.1)
    assert task.failure is None, "it has run ten times as long as the last delay"


def test_a_container_that_is_tried_again_gets_a_place_that_others_have(world: SimulatedEngine) -> None:
    world.faults.refused = 1.0
    world.decide({"a": 1})
    world.run(0.5)
    world.faults.refused = 0.0
    world.decide({"b": 8})
    world.run(10)
    world.tick()
    assert world.tasks.get_task("a").demand == 1, "the guard makes room for it: it is below its minimum"


def test_without_a_place_to_try_one_it_counts_as_the_others_do_so_that_it_can_give_way(
    world: SimulatedEngine,
) -> None:
    world.decide({"b": 6, "c": 2})
    world.run(10)
    world.faults.refused = 1.0
    world.decide({"c": 5})
    world.run(1)
    task = world.tasks.get_task("c")
    assert (task.backing_off, task.demand) == (True, 2)
    world.faults.refused = 0.0
    world.run(2)
    world.tick()
    assert not task.backing_off
    world.faults.refused = 1.0
    world.decide({"b": 4, "c": 4})
    world.run(1)
    assert (task.backing_off, task.demand) == (True, 2), "the next failed start is enough"


def test_containers_that_hold_for_long_and_then_exit_are_no_failures(world: SimulatedEngine) -> None:
    world.decide({"a": 2})
    for _ in range(12):
        world.run(6)
        world.tick()
        world.kill(next(iter(world.real.values())))
    assert not world.tasks.get_task("a").backing_off


@pytest.mark.parametrize("removing", [False, True])
def test_a_start_without_an_answer_keeps_a_place_until_the_removal_has_begun(
    world: SimulatedEngine, removing: bool
) -> None:
    """An engine that fails to remove a container shows it for ever, and refuses to start it."""
    world.decide({"a": 1})
    world.run(5)
    world.faults.refused = 1.0
    world.decide({"a": 0})
    (real,) = world.real.values()
    world.kill(real)
    listed(world)
    (container,) = world.reconciler.containers["a"]
    container.may_run = container.start_unconfirmed = True
    (seen,) = world.snapshot()
    world.listing.apply(world.listing.ask(), [replace(seen, removing=removing)], world.now)
    assert world.reconciler.room() == (8 if removing else 7)


def test_a_create_without_an_answer_is_found_by_its_nonce(world: SimulatedEngine) -> None:
    world.faults = Faults(lost_reply=1.0, lost_event=1.0)
    world.decide({"a": 1})
    world.run(0)
    world.faults = Faults(lost_event=1.0)
    for _ in range(40):
        listed(world)
        world.tick()
    assert running(world)["a"] == 1
    assert len(world.real) == 1, "no orphan"


STALE = [
    pytest.param(State.CREATED, Phase.RUNNING, id="it missed a start already seen"),
    pytest.param(State.EXITED, Phase.RUNNING, id="it cannot know what came after it was asked for"),
    pytest.param(None, Phase.RUNNING, id="it was asked for before the container was there"),
]


@pytest.mark.parametrize(("shown", "phase"), STALE)
def test_a_listing_does_not_overrule_what_came_after_it_was_asked_for(
    world: SimulatedEngine, shown: State | None, phase: Phase
) -> None:
    asked = world.listing.ask()
    world.decide({"a": 1})
    world.run(2)
    (real,) = world.real.values()
    seen = [ListedContainer(real.id, "a", shown, 0.0, real.nonce)] if shown else []
    world.listing.apply(asked, seen, world.now)
    assert world.reconciler.by_id[real.id].phase is phase


def test_a_stream_that_tells_nothing_is_found_out(world: SimulatedEngine) -> None:
    world.decide({"a": 2})
    world.run(2)
    world.faults.lost_event = 1.0
    world.kill(next(iter(world.real.values())))
    listed(world)
    assert not world.listing.stream_is_broken(world.now)
    assert world.listing.stream_is_broken(world.now + 10.0)
    assert not world.listing.stream_is_broken(world.now + 10.0), "the next one starts afresh"


def test_a_late_event_is_not_a_silent_stream(world: SimulatedEngine) -> None:
    world.decide({"a": 1})
    world.run(2)
    (real,) = world.real.values()
    world.faults.event_s = 3.0
    world.kill(real)
    world.list()
    world.run(9)
    assert not world.listing.stream_is_broken(world.now + 10.0)


def test_a_second_agent_holds_all_tasks_until_its_containers_are_gone(world: SimulatedEngine) -> None:
    world.decide({"a": 2})
    world.run(20)
    stranger = world.add("a", State.CREATED, nonce="other-1")
    world.reconciler.on_event(Event("start", stranger.id, "a", "other-1"), world.now)
    assert world.tasks.hold
    world.decide({"a": 5, "b": 1})
    world.run(5)
    assert len(world.real) == 3, "nothing started"
    world.reconciler.on_event(Event("destroy", stranger.id, "a", "other-1"), world.now)
    del world.real[stranger.id]
    assert not world.tasks.hold
    world.tick()
    world.run(5)
    assert running(world) == {"a": 5, "b": 1, "c": 0}


def test_the_last_create_of_an_agent_that_was_killed_is_no_second_agent(world: SimulatedEngine) -> None:
    late = world.add("a", State.CREATED, nonce="earlier-7")
    world.reconciler.on_event(Event("create", late.id, "a", "earlier-7"), world.now)
    world.decide({"a": 1})
    world.run(9)
    assert not world.tasks.hold
    for _ in range(3):
        listed(world)
        world.run(2)
    assert late.id not in world.real, "removed once it is clear that nobody starts it"
    assert running(world)["a"] == 1


def test_leaving_finishes_what_is_under_way_and_removes_what_never_started(world: SimulatedEngine) -> None:
    world.faults.effect_s = 2.0
    world.decide({"b": 6})
    world.run(10)
    world.decide({"a": 6, "b": 2})
    world.run(0.3)
    world.reconciler.leave()
    for _ in range(20):
        world.tick()
        world.run(1)
    assert world.reconciler.idle
    assert running(world)["b"] == 2
    assert all(real.state is State.RUNNING for real in world.real.values())


def test_a_container_of_a_task_that_is_not_configured_is_left_alone(world: SimulatedEngine) -> None:
    world.add("unknown", State.RUNNING)
    listed(world)
    world.decide({"a": 8})
    world.run(5)
    assert running(world)["a"] == 8
    assert world.running("unknown") == 1


def test_a_refusal_to_stop_is_said_once(world: SimulatedEngine, caplog: pytest.LogCaptureFixture) -> None:
    world.decide({"a": 1})
    world.run(2)
    world.faults.refused = 1.0
    world.decide({"a": 0})
    for _ in range(100):
        world.tick()
        world.run(0.1)
        listed(world)
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert [message.split()[:3] for message in said] == [["a:", "cannot", "stop"]]


def test_leaving_does_not_wait_for_what_cannot_be_removed(world: SimulatedEngine) -> None:
    world.decide({"a": 2})
    world.run(2)
    world.decide({"a": 1})
    world.run(0.6)
    world.faults = Faults(refused=1.0)
    world.reconciler.leave()
    world.tick()
    world.run(1)
    assert {real.state for real in world.real.values()} == {State.RUNNING, State.EXITED}
    assert world.reconciler.idle
    assert not world.reconciler.unfinished()


@pytest.mark.parametrize("told", [False, True])
def test_what_somebody_ends_is_no_failed_start(world: SimulatedEngine, told: bool) -> None:
    world.decide({"a": 3})
    world.run(1.5)
    for real in list(world.real.values()):
        if told:
            world.reconciler.on_event(Event("kill", real.id, "a"), world.now)
        world.kill(real)
    world.run(1.0)
    assert world.tasks.get_task("a").backing_off != told
