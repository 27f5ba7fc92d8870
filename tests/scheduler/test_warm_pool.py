"""Containers that are started ahead, frozen, and told go, in virtual time."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

import pytest

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.frozen import Yielding
from microscaling.demand.warm import Warm
from microscaling.demand.web import Web
from microscaling.scheduler.containers.backend import Event
from microscaling.scheduler.containers.container import Phase, Work
from microscaling.scheduler.containers.drain_file import Kept
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from microscaling.scheduler.containers.views import views
from tests.scheduler.simulated_engine import Faults, Real, SimulatedEngine, small_world
from tests.scheduler.test_freezer import Heard, calm, live, of

CAP = 8
LOAD_S = 3.0
FILES = Warm(3, "/tmp/ready", file="/tmp/go")
SIGNAL = Warm(3, "/tmp/ready", signal="URG")
STOPS = Warm(3, signal="CONT", stops=True)
"""By local processes, whose thaw is their go."""


def make(warm: Warm | None = FILES, faults: Faults | None = None, seed: int = 1) -> SimulatedEngine:
    world = small_world(random.Random(seed), faults or Faults(effect_s=0.05, load_s=LOAD_S), CAP)
    for task in world.tasks.tasks:
        task.min_containers = 0
    world.tasks.get_task("b").warm = warm
    if warm is not None and warm.stops:
        world.stops.add("b")
        world.reconciler.thaw_is_go = True
    world.list()
    world.run(1.0)
    return world


class Made:
    """Counts the containers that are created."""

    count = 0

    def tell(self, event: Event) -> None:
        self.count += event.kind == "create"


@pytest.fixture
def world() -> SimulatedEngine:
    """Two containers at work, and three that are warm."""
    found = make()
    found.decide({"b": 2})
    live(found, 10)
    return found


def warm(world: SimulatedEngine) -> list[Real]:
    return of(world, "b", frozen=True)


def told(world: SimulatedEngine) -> list[Real]:
    return [real for real in of(world, "b") if real.told]


def test_the_pool_is_filled_and_takes_no_places(world: SimulatedEngine) -> None:
    task = world.tasks.get_task("b")
    assert (len(told(world)), len(warm(world)), len(world.real)) == (2, 3, 5)
    assert not any(real.told for real in warm(world))
    assert (task.requested, task.running, task.stopping, task.parked, task.frozen) == (2, 2, 0, 0, 3)
    assert world.reconciler.room() == CAP - 2
    states = sorted(view.state for view in views(world.reconciler, "b", world.now))
    assert states == ["running"] * 2 + ["warm"] * 3
    assert world.reconciler.idle


@pytest.mark.parametrize("warm", [FILES, SIGNAL, STOPS], ids=["file", "signal", "stop"])
def test_a_program_that_fails_at_its_go_is_not_started_again_and_again(warm: Warm) -> None:
    """An engine reports the signal that is its go as it does that of a `docker stop`."""
    world = make(warm, Faults(effect_s=0.05, load_s=0.5, broken={"b": "at work"}))
    made = Made()
    world.listeners.append(made)
    world.decide({"b": 2})
    live(world, 60)
    failure = world.tasks.get_task("b").failure
    assert failure is not None
    assert failure.exit_code == 1
    assert made.count < 20, "three, and the tries after 1, 2, 4 s and so on"


def test_those_at_work_that_still_load_are_counted_apart() -> None:
    world = make(faults=Faults(effect_s=0.05, load_s=3.0))
    task = world.tasks.get_task("b")
    world.decide({"b": 2})
    live(world, 1)
    assert (task.requested, task.running, task.loading) == (2, 2, 2)
    live(world, 10)
    assert (task.running, task.loading, task.frozen) == (2, 0, 3)


def test_warm_ones_come_first_and_are_told_go_after_their_thaw(world: SimulatedEngine) -> None:
    before = {real.id for real in warm(world)}
    heard: list[str] = []
    world.listeners.append(Heard(heard))
    world.decide({"b": 6})
    live(world, 1)
    assert before < {real.id for real in told(world)}
    assert (len(told(world)), len(of(world, "b"))) == (5, 8), "three load: one to work, two to be warm"
    assert heard.count("unpause") == 3
    live(world, 10)
    assert (len(told(world)), len(warm(world))) == (6, 3)
    assert not world.excess
    assert not world.wrong


def test_a_container_is_told_go_only_once_it_is_ready() -> None:
    world = make(Warm(0, "/tmp/ready", signal="CONT"))
    world.decide({"b": 2})
    live(world, LOAD_S - 1)
    assert (len(of(world, "b")), told(world)) == (2, [])
    assert [view.state for view in views(world.reconciler, "b", world.now)] == ["waits for go"] * 2
    live(world, 2)
    assert len(told(world)) == 2
    assert not world.wrong


def test_nothing_that_was_told_go_goes_back_to_the_pool(world: SimulatedEngine) -> None:
    working = {real.id for real in told(world)}
    for demand in (5, 0, 3):
        world.decide({"b": demand})
        live(world, 10)
    assert not working & set(world.real)
    assert (len(told(world)), len(warm(world))) == (3, 3)
    assert not world.wrong


def test_one_that_makes_itself_warm_gives_up_its_place_at_once() -> None:
    world = make()
    world.decide({"b": 2})
    live(world, 2)
    assert len(of(world, "b")) == 5, "three of them only load"
    world.decide({"a": 6, "b": 2})
    live(world, 1)
    assert (len(of(world, "a")), len(of(world, "b")), len(world.real)) == (6, 2, 8)
    live(world, 10)
    assert warm(world) == []
    world.decide({"a": 5})
    live(world, 15)
    assert len(warm(world)) == 3, "one after the other"
    assert not world.excess


def test_under_a_lower_cap_those_that_load_go_first() -> None:
    world = make()
    world.decide({"b": 2})
    live(world, 2)
    world.tasks.max_containers = 4
    live(world, 1)
    assert len(of(world, "b")) == 4, "two at work, and two that load"


def test_what_waits_for_its_image_holds_up_no_pool() -> None:
    world = make()
    world.tasks.get_task("a").image = "new"
    world.reconciler.refreshed_by = lambda: {"new": world.now + 5}
    world.decide({"a": 2, "b": 2})
    live(world, 10)
    assert (len(of(world, "a")), len(warm(world))) == (0, 3)


def test_one_that_loads_already_is_not_started_anew() -> None:
    world = make()
    world.decide({"b": 2})
    live(world, 2)
    world.decide({"b": 5})
    live(world, 3)
    assert (len(told(world)), len(of(world, "b"))) == (5, 8)
    assert not world.excess


def test_one_that_still_loads_and_is_not_needed_any_more_is_kept_warm() -> None:
    world = make()
    world.decide({"b": 4})
    live(world, 1)
    first = {real.id for real in of(world, "b")}
    world.decide({"b": 1})
    live(world, 10)
    assert set(world.real) <= first
    assert (len(told(world)), len(warm(world))) == (1, 3)


def test_it_may_still_be_frozen_when_it_gives_way() -> None:
    world = make()
    world.may_freeze.add("b")
    world.tasks.get_task("b").yielding = Yielding(8)
    world.decide({"b": 4})
    live(world, 10)
    working = {real.id for real in told(world)}
    world.decide({"a": 6, "b": 2})
    live(world, 3)
    assert len(told(world)) == 2
    assert len(working & {real.id for real in warm(world)}) == 2
    world.decide({"a": 0, "b": 5})
    live(world, 2)
    assert working < {real.id for real in told(world)}, "those with their work go on first"
    live(world, 10)
    assert sum(not real.told for real in warm(world)) == 3
    assert not world.wrong


def test_fewer_and_other_ones_after_a_change(world: SimulatedEngine) -> None:
    task = world.tasks.get_task("b")
    task.warm = Warm(1, "/tmp/ready", file="/tmp/go")
    live(world, 2)
    assert (len(told(world)), len(warm(world))) == (2, 1)
    (before,) = warm(world)
    task.version = "two"
    for container in world.reconciler.containers["b"]:
        container.version = "one" if container.id == before.id else "two"
    live(world, 10)
    assert before.id not in world.real
    assert (len(told(world)), len(warm(world))) == (2, 1)
    task.warm = None
    live(world, 2)
    assert (len(of(world, "b")), len(world.real)) == (2, 2)


def test_its_task_goes(world: SimulatedEngine) -> None:
    limits.reconfigure(world.tasks, Change(gone=frozenset({"b"})))
    world.reconciler.roster.take(Change(gone=frozenset({"b"})), lambda _: False)
    live(world, 5)
    assert not world.real
    assert "b" not in world.reconciler.containers


@pytest.mark.parametrize(
    "go", [Warm(3, "/tmp/ready", file="/tmp/other"), Warm(3, "/tmp/ready", signal="CONT")]
)
def test_all_are_told_again_after_a_change_of_go(world: SimulatedEngine, go: Warm) -> None:
    before = [real.id for real in told(world)]
    for real in world.real.values():
        real.told = False
    world.tasks.get_task("b").warm = go
    live(world, 3)
    assert [real.id for real in told(world)] == before
    assert len(warm(world)) == 3
    assert world.reconciler.idle
    world.tasks.get_task("b").warm = replace(go, count=2)
    live(world, 3)
    assert not any(c.phase is Phase.RUNNING for c in world.reconciler.books.restless("b"))


def test_what_works_when_its_task_becomes_one_with_a_pool_has_its_grace() -> None:
    world = make(None)
    world.stops.add("b")  # its removal at work is noted
    world.decide({"b": 2})
    live(world, 2)
    for real in of(world, "b"):
        real.told = True
    world.tasks.get_task("b").warm = Warm(1, "/tmp/ready", file="/tmp/go")
    world.decide({"b": 0})
    live(world, 2)
    assert not told(world)
    assert not world.wrong


def test_at_the_end_they_are_removed_without_a_place_and_without_a_grace(world: SimulatedEngine) -> None:
    world.faults.grace_s = 5.0
    heard: list[str] = []
    world.listeners.append(Heard(heard))
    world.reconciler.drain()
    world.decide({"b": 0})
    live(world, 1)
    assert (len(world.real), len(warm(world))) == (2, 0), "those at work have their grace"
    live(world, 7)
    assert not world.real
    assert "unpause" not in heard


def test_one_that_waited_for_a_place_and_is_too_many_by_now_is_removed(world: SimulatedEngine) -> None:
    world.decide({"a": 6, "b": 2})
    live(world, 3)
    world.decide({"a": 6, "b": 4})
    live(world, 1)
    assert sum(c.phase is Phase.CHOSEN for c in world.reconciler.containers["b"]) == 2
    world.tasks.get_task("b").warm = replace(FILES, count=1)
    world.decide({"a": 6, "b": 2})
    live(world, 3)
    assert (len(told(world)), len(warm(world))) == (2, 1)
    world.reconciler.drain()
    world.decide({"a": 0, "b": 0})
    live(world, 5)
    assert not world.real


def test_what_is_left_stays_frozen(world: SimulatedEngine) -> None:
    world.reconciler.leave()
    world.tick()
    live(world, 3)
    assert (len(told(world)), len(warm(world))) == (2, 3)
    assert world.reconciler.idle


def successor(world: SimulatedEngine, kept: dict[str, Kept] | None) -> SimulatedEngine:
    """The next agent, on the same engine. `kept`: the file of the last one."""
    following = make(world.tasks.get_task("b").warm)
    following.real, following.now, following._numbers = dict(world.real), world.now, world._numbers
    for real in following.real.values():
        real.told = real.told and bool(world.stops)
    following.reconciler = ContainerReconciler(following.tasks)
    following.reconciler.thaw_is_go = bool(world.stops)
    following.listing = Listing(following.reconciler)
    following.reconciler.kept, following.reconciler.knows_frozen = dict(kept or {}), kept is not None
    following.list()
    following.run(1.0)
    return following


@pytest.mark.parametrize("has_file", [True, False])
def test_the_next_agent_knows_what_is_warm_and_tells_all_others_go(
    world: SimulatedEngine, has_file: bool
) -> None:
    kept = world.reconciler.drains.kept()
    assert {one.warm for one in kept.values()} == {True}
    before = {real.id for real in warm(world)}
    following = successor(world, kept if has_file else None)
    task = following.tasks.get_task("b")
    assert (task.demand, task.requested, task.running, task.frozen) == (2, 2, 2, 3)
    following.decide({"b": 2})
    live(following, 3)
    assert len(told(following)) == 2, "it does not know who was told, and it may be said twice"
    following.decide({"b": 5})
    live(following, 1)
    assert before < {real.id for real in told(following)}


@pytest.mark.parametrize("paused", [True, False])
def test_an_agent_that_is_killed_while_it_freezes_loses_none(world: SimulatedEngine, paused: bool) -> None:
    kept = world.reconciler.drains.kept()
    one = warm(world)[0]
    one.paused = one.frozen = paused
    following = successor(world, kept)
    if not paused:  # the engine carries the call of the killed agent out
        following.decide({"b": 3})
        live(following, 0.5)
        assert not following.real[one.id].told
        real = following.real[one.id]
        real.paused = real.frozen = True
        following._tell("pause", real)
    following.decide({"b": 3})
    live(following, 10)
    assert (len(told(following)), len(warm(following))) == (3, 3)
    assert "paused" not in {view.state for view in views(following.reconciler, "b", following.now)}


def test_one_that_somebody_unpauses_works_and_counts(world: SimulatedEngine) -> None:
    world.pause(warm(world)[0], False)
    live(world, 1)
    task = world.tasks.get_task("b")
    world.decide({"b": 3})
    live(world, 10)
    assert (len(told(world)), len(warm(world)), task.running) == (3, 3, 3)
    assert not world.wrong


@pytest.fixture
def stopping() -> SimulatedEngine:
    """As `world`, of programs that stop themselves."""
    found = make(STOPS)
    found.decide({"b": 2})
    live(found, 10)
    return found


def test_programs_that_stop_themselves(stopping: SimulatedEngine) -> None:
    before = {real.id for real in warm(stopping)}
    assert (len(told(stopping)), len(before)) == (2, 3)
    stopping.list()
    stopping.decide({"b": 4})
    live(stopping, 10)
    assert len(before & {real.id for real in told(stopping)}) == 2, "their thaw was go"
    stopping.list()
    live(stopping, 1)
    states = sorted(view.state for view in views(stopping.reconciler, "b", stopping.now))
    assert states == ["running"] * 4 + ["warm"] * 3
    assert stopping.reconciler.idle
    assert not stopping.wrong


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4])
def test_from_the_moment_of_its_thaw_it_has_its_grace(stopping: SimulatedEngine, after_s: float) -> None:
    stopping.faults.effect_s = stopping.faults.reply_s = 1.0
    stopping.decide({"b": 5})
    stopping.run(after_s)
    stopping.decide({"b": 0})
    live(stopping, 20)
    assert not stopping.wrong
    stopping.decide({"b": 3})
    live(stopping, 20)
    assert (len(told(stopping)), len(warm(stopping))) == (3, 3)


def test_a_thaw_that_is_called_off_leaves_it_warm(stopping: SimulatedEngine) -> None:
    task, before = stopping.tasks.get_task("b"), {real.id for real in warm(stopping)}
    task.demand = 5
    stopping.reconciler.reconcile(stopping.now)
    taken = stopping.reconciler.take()
    operations = [one for one in taken if one.work is Work.THAW]
    assert len(operations) == 3
    for one in taken:
        if one.work is Work.CREATE:  # those that would be warm in their place
            stopping.carry_out(one, stopping._done)
    assert set(kept_warm(stopping)) == before, "nothing is sent yet"
    task.demand = 2
    stopping.reconciler.reconcile(stopping.now)
    assert all(stopping.reconciler.call_off(operation, stopping.now) for operation in operations)
    live(stopping, 5)
    assert {real.id for real in warm(stopping)} == before == set(kept_warm(stopping))
    task.demand = 5
    stopping.reconciler.reconcile(stopping.now)
    operations = [one for one in stopping.reconciler.take() if one.work is Work.THAW]
    assert len(operations) == 3
    assert not any(stopping.reconciler.call_off(operation, stopping.now) for operation in operations)
    assert not kept_warm(stopping), "the file has it before the call"


def kept_warm(world: SimulatedEngine) -> list[str]:
    return [id for id, one in world.reconciler.drains.kept().items() if one.warm]


def test_one_that_somebody_continues_works_and_counts(stopping: SimulatedEngine) -> None:
    real = warm(stopping)[0]
    real.paused, real.frozen, real.told = False, False, True  # a signal is no event
    stopping.tasks.get_task("b").demand = 3
    stopping.list()
    stopping.run(0.5)
    live(stopping, 10)
    assert real in told(stopping), "no other one is let go on in its place"
    assert (len(told(stopping)), len(warm(stopping))) == (3, 3)
    stopping.decide({"b": 0})
    live(stopping, 10)
    assert (len(of(stopping, "b")), len(warm(stopping))) == (0, 3)
    assert not stopping.wrong


def test_one_that_somebody_continues_before_it_is_frozen() -> None:
    world = make(STOPS)
    world.faults.broken = {"b": "freeze"}
    world.decide({"b": 0})
    live(world, LOAD_S + 0.5)
    container = next(c for c in world.reconciler.containers["b"] if c.handshake.ready)
    world.real[container.id].told = True
    world.faults.broken = {}
    world.list()
    world.run(0.25)
    assert (container.warm, container.handshake.may_work) == (False, True)
    live(world, 20)
    assert not world.wrong


@pytest.mark.parametrize("has_file", [True, False])
def test_the_next_agent_of_programs_that_stop_themselves(stopping: SimulatedEngine, has_file: bool) -> None:
    stopping.decide({"b": 3})
    stopping.run(LOAD_S + 0.2)  # one of the pool loads, or has just stopped itself
    frozen, works = {real.id for real in warm(stopping)}, {real.id for real in told(stopping)}
    kept = stopping.reconciler.drains.kept()
    following = successor(stopping, kept if has_file else None)
    following.decide({"b": 3})
    live(following, 5)
    assert works <= {real.id for real in told(following)}
    assert not has_file or frozen <= {real.id for real in warm(following)}
    assert not any(c.paused for c in following.reconciler.containers["b"])
    following.decide({"b": 0})
    live(following, 90)
    assert (len(of(following, "b")), len(warm(following))) == (0, 3)
    assert not following.wrong


def test_one_that_waited_for_its_freeze_is_told_go_by_the_next_agent() -> None:
    world = make(STOPS, Faults(effect_s=0.05, load_s=LOAD_S, broken={"b": "freeze"}))
    world.decide({"b": 0})
    live(world, LOAD_S + 0.5)
    waiting = [c for c in world.reconciler.containers["b"] if c.handshake.ready]
    assert {c.phase for c in waiting} == {Phase.RUNNING}
    following = successor(world, world.reconciler.drains.kept())
    following.decide({"b": 3})
    live(following, 3)
    assert {c.id for c in waiting} <= {real.id for real in told(following)}


def test_one_that_waits_for_go_and_is_to_end_is_not_paused_by_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = make(STOPS, Faults(effect_s=0.05, load_s=LOAD_S, broken={"b": "freeze"}))
    world.decide({"b": 0})
    live(world, LOAD_S + 0.5)
    following = successor(world, world.reconciler.drains.kept())
    following.faults.grace_s = 5.0
    following.decide({"b": 0})
    live(following, 1)
    assert Phase.STOPPING in {c.phase for c in following.reconciler.containers["b"]}
    following.list()
    live(following, 1)
    assert "paused from outside" not in caplog.text


def test_one_of_an_earlier_agent_that_is_not_stopped_is_looked_at_ever_more_rarely(
    stopping: SimulatedEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = successor(stopping, stopping.reconciler.drains.kept())
    following.decide({"b": 2})
    live(following, 540)
    looks, carry_out = [], following.carry_out
    monkeypatch.setattr(following, "carry_out", lambda *of: (looks.append(of[0].work), carry_out(*of)))
    live(following, 60)
    assert 2 <= looks.count(Work.READY) <= 6, "of two of them"
    assert "is not ready" not in caplog.text
    # It may still load.
    for real in told(following):
        real.told = False
    live(following, 60)
    assert len(told(following)) == 2


def test_one_at_work_that_somebody_pauses_is_theirs(world: SimulatedEngine) -> None:
    real = told(world)[0]
    world.pause(real)
    live(world, 5)
    assert real.paused
    assert (len(told(world)), len(warm(world))) == (3, 3), "another one, of the warm ones, does its work"


def test_what_is_never_ready_is_said_and_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    world = make(faults=Faults(effect_s=0.05, load_s=1e9))
    world.decide({"b": 1})
    live(world, 65)
    assert caplog.text.count("is not ready after 60 s") == 4
    world.decide({"a": 7})
    live(world, 1)
    assert (len(of(world, "a")), len(of(world, "b"))) == (7, 1)


@pytest.mark.parametrize("what", ["freeze", "thaw", "tell go"])
def test_calls_that_are_refused(world: SimulatedEngine, what: str) -> None:
    world.faults.broken = {"b": what}
    world.decide({"b": 4})
    live(world, 3)
    world.faults.broken = {}
    live(world, 90)
    assert (len(told(world)), len(warm(world))) == (4, 3)
    assert not world.excess
    assert not world.wrong


@pytest.mark.parametrize("load_s", [0.5, 15.0])
@pytest.mark.parametrize("warm", [FILES, STOPS], ids=["files", "stops"])
def test_those_that_fail_once_they_are_told_go_are_failed_starts(warm: Warm, load_s: float) -> None:
    """However long they load, and however long they were warm."""
    world = make(warm, Faults(effect_s=0.05, load_s=load_s))
    seen = Heard([])
    world.listeners.append(seen)
    world.decide({"b": 2})
    for _ in range(480):
        for real in told(world):
            world.kill(real, 1)
        world.decide({"b": 2})
        world.run(0.25)
    assert world.tasks.get_task("b").backing_off
    assert seen.to.count("start") < 20


@pytest.mark.parametrize("signalled", [True, False])
def test_what_ends_in_the_pool_is_replaced_once_a_minute(world: SimulatedEngine, signalled: bool) -> None:
    """As by the kernel, where there is too little memory; what a person has ended is replaced at once."""
    seen = Heard([])
    world.listeners.append(seen)
    for _ in range(240):
        for real in warm(world):
            world.reconciler.by_id[real.id].signalled = signalled
            world.kill(real)
        world.decide({"b": 2})
        world.run(0.25)
    assert (seen.to.count("start") > 30) == signalled
    live(world, 70)
    assert (len(told(world)), len(warm(world))) == (2, 3)


def test_where_starts_fail_the_pool_waits_too() -> None:
    world = make(faults=Faults(effect_s=0.05, load_s=LOAD_S, broken={"b": "crash"}))
    world.decide({"b": 1})
    live(world, 60)
    starts: list[str] = []
    world.listeners.append(Heard(starts))
    live(world, 60)
    assert starts.count("start") < 10


@pytest.mark.parametrize("seed", [*range(5), 34, 83])
def test_whatever_goes_wrong_the_cap_holds_and_none_is_frozen_with_a_job(seed: int) -> None:
    check(seed)


def check(seed: int) -> None:
    rng = random.Random(seed)
    faults = Faults(0.05, 0.05, 0.05, 0.05, 0.02, effect_s=0.5, load_s=rng.choice([0.0, 2.0]))
    world = make(Warm(rng.choice([1, 4]), "/r", file="/go"), faults, seed)
    world.tasks.get_task("c").warm = Warm(2, "/r", signal="CONT")
    world.tasks.get_task("c").yielding = Yielding(2)
    world.may_freeze.add("c")
    for _ in range(60):
        left, wants = CAP, {}
        for name in ("a", "b", "c"):
            wants[name] = rng.randint(0, left)
            left -= wants[name]
        if rng.random() < 0.7:
            world.decide(wants)
        if rng.random() < 0.5:
            world.list()
        if rng.random() < 0.1 and (up := of(world, "b", frozen=rng.random() < 0.5)):
            world.kill(rng.choice(up))
        live(world, rng.choice([0.25, 1.0, 5.0]))
    for _ in range(6):  # back-offs end, and each leaves the demand that it had
        calm(world)
        world.decide({"a": 2, "b": 3, "c": 2})
    live(world, 90)
    calm(world)
    found = {task.name: len(of(world, task.name)) for task in world.tasks.tasks}
    assert not any(task.backing_off for task in world.tasks.tasks)
    assert found == {task.name: task.demand for task in world.tasks.tasks}
    assert all(real.told for name in "bc" for real in of(world, name))
    assert not world.excess
    assert not world.wrong
    for task in world.tasks.tasks[1:]:
        pool = [c for c in world.reconciler.containers[task.name] if c.warm]
        assert len(pool) == (task.warm.count if task.warm else 0)
        assert all(c.phase is Phase.FROZEN for c in pool)
    world.reconciler.drain()
    world.decide(dict.fromkeys("abc", 0))
    calm(world)
    assert not world.real


def replace_agent(world: SimulatedEngine) -> None:
    """The agent is killed, with calls under way, and another one is started."""
    kept = world.reconciler.drains.kept()
    world.reconciler = ContainerReconciler(world.tasks)
    if world.stops:  # local processes
        world.reconciler.thaw_is_go = True
        world.forget_calls()
    world.listing = Listing(world.reconciler)
    world.reconciler.kept, world.reconciler.knows_frozen = dict(kept), True
    world.run(world.rng.choice([0.0, 0.5]))
    world.list()
    world.run(0.5)


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_agents_that_are_killed_at_any_moment(seed: int, stops: bool) -> None:
    check_kills(seed, stops)


def check_kills(seed: int, stops: bool = False) -> None:
    rng = random.Random(seed)
    faults = Faults(effect_s=rng.choice([0.05, 0.5]), load_s=rng.choice([0.0, 2.0]), dies=0.02)
    count = rng.choice([1, 4])
    world = make(
        Warm(count, signal="CONT", stops=True) if stops else Warm(count, "/r", file="/go"), faults, seed
    )
    for _ in range(40):
        wants = {"b": rng.randint(0, CAP)}
        wants["a"] = rng.randint(0, CAP - wants["b"])
        world.decide(wants)
        live(world, rng.choice([0.25, 1.0, 5.0]))
        world.run(rng.uniform(0.0, 0.5))
        if rng.random() < 0.4:
            replace_agent(world)
    for _ in range(6):
        calm(world)
        world.decide({"a": 2, "b": 3, "c": 0})
    live(world, 90)
    calm(world)
    # One that was about to be frozen when its agent was killed has stopped itself.
    still = {real.id for real in of(world, "b") if world.waits_stopped(real)}
    assert (len(of(world, "a")), len(told(world)), len(of(world, "b")) - len(still)) == (2, 3, 3)
    pool = [c for c in world.reconciler.containers["b"] if c.warm]
    assert {c.id for c in pool} == {real.id for real in warm(world)} | still
    task = world.tasks.get_task("b")
    assert len(pool) == (task.warm.count if task.warm else 0)
    assert len(world.real) == 5 + len(pool)
    assert not world.wrong
    assert not world.tasks.hold


def test_their_memory_is_said_and_limited(world: SimulatedEngine, caplog: pytest.LogCaptureFixture) -> None:
    task = world.tasks.get_task("b")
    assert task.warm_bytes == 300_000_000
    world.reconciler.pool.max_bytes = 250e6
    live(world, 20)
    assert (len(warm(world)), task.warm_bytes) == (2, 200_000_000)
    line = "one needs 100 MB, those there are have 200 MB, and MSS_WARM_MEMORY is 250 MB"
    assert f"b: no more is made warm, as {line}" in caplog.text


def test_before_the_first_is_weighed_they_are_made_one_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    world = make()
    world.memory, world.reconciler.pool.max_bytes = 200_000_000, 250e6
    with caplog.at_level(logging.INFO):
        world.decide({"b": 2})
        live(world, 2)
        assert len(of(world, "b")) == 3
        live(world, 30)
    assert (len(told(world)), len(warm(world)), len(world.real)) == (2, 1, 3)
    assert caplog.text.count("no more is made warm") == 1
    caplog.clear()
    world.reconciler.pool.max_bytes = 600e6
    with caplog.at_level(logging.INFO):
        live(world, 30)
    assert len(warm(world)) == 3


def test_memory_that_the_engine_does_not_tell(caplog: pytest.LogCaptureFixture) -> None:
    world = make()
    world.memory, world.reconciler.pool.max_bytes = None, 250e6
    world.decide({"b": 2})
    live(world, 20)
    assert len(warm(world)) == 3
    assert not world.reconciler.away
    [line] = [each for each in caplog.messages if "MSS_WARM_MEMORY" in each]
    assert line == (
        "b: the memory of a warm container is not known, and not counted for MSS_WARM_MEMORY: "
        "GET /containers/ID/stats is refused"
    )


def test_the_whole_pool_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        world = make()
        world.decide({"b": 2})
        live(world, 10)
        world.decide({"b": 4})
        live(world, 20)
    assert caplog.text.count("b: 3 are warm, with 300 MB of memory") == 1


def test_what_waits_for_requests_has_its_name_only_when_it_works() -> None:
    world = make(Warm(2))
    task = world.tasks.get_task("b")
    task.web = Web()
    for container in world.reconciler.all():
        container.naming.listed = False
    world.decide({"b": 1})
    live(world, 10)
    (working,) = of(world, "b")
    named = {c.id for c in world.reconciler.containers["b"] if c.naming.listed}
    assert (named, len(warm(world))) == ({working.id}, 2)
    world.decide({"b": 3})
    live(world, 1)
    mine = [c for c in world.reconciler.containers["b"] if c.naming.listed and not c.warm]
    assert len(mine) == 3
    assert [world.reconciler.names.waited(c, world.now)[0] for c in mine if c.handshake.ready] == [
        float("inf")
    ] * 2
