"""Containers that somebody has paused: named, in their place, but no capacity; in virtual time."""

from __future__ import annotations

import logging
import random

import pytest

from microscaling.scheduler.containers.backend import State
from tests.scheduler.simulated_engine import Faults, Real, SimulatedEngine, small_world
from tests.scheduler.test_whole_loop import CAP, Loop, settle


@pytest.fixture
def world() -> SimulatedEngine:
    """Eight places; nothing goes wrong."""
    world = small_world(random.Random(1), Faults(effect_s=0.05))
    world.list()
    world.run(1.0)
    return world


def of(world: SimulatedEngine, name: str) -> list[Real]:
    return [r for r in world.real.values() if r.task == name and r.state is State.RUNNING]


def live(world: SimulatedEngine, seconds: float) -> None:
    for _ in range(round(seconds * 2)):
        world.tick()
        world.run(0.5)


HEARD = pytest.mark.parametrize("heard", [True, False], ids=["by events", "by listings"])


@HEARD
def test_it_is_named_and_another_one_does_its_work(
    world: SimulatedEngine, heard: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.tasks.noun = "process"
    world.decide({"a": 3})
    world.run(2)
    world.faults.lost_event = 0.0 if heard else 1.0
    real = of(world, "a")[0]
    world.pause(real)
    world.list()
    live(world, 3)
    world.list()
    live(world, 3)
    task = world.tasks.get_task("a")
    assert f"a: process {real.id} is paused from outside" in caplog.text
    assert caplog.text.count("paused from outside") == 1
    assert (task.requested, task.running, len(of(world, "a"))) == (3, 3, 4)
    world.pause(real, False)
    world.list()
    live(world, 3)
    world.list()
    live(world, 3)
    assert "is no longer paused" in caplog.text
    assert real in of(world, "a"), "the newest goes, not the one that was paused"
    assert len(of(world, "a")) == 3


def test_its_place_under_the_cap_is_kept(world: SimulatedEngine) -> None:
    world.decide({"a": 8})
    world.run(2)
    world.pause(of(world, "a")[0])
    live(world, 5)
    assert len(world.real) <= 9
    assert len(of(world, "a")) == 8
    assert not world.excess


@pytest.mark.parametrize("stops_paused", [True, False], ids=["as Docker", "as Podman"])
def test_it_is_stopped_when_nothing_else_is_left_to_give(world: SimulatedEngine, stops_paused: bool) -> None:
    world.faults.stops_paused = stops_paused
    world.decide({"a": 3})
    world.run(2)
    real = of(world, "a")[0]
    world.pause(real)
    live(world, 2)
    world.decide({"a": 1})
    live(world, 2)
    assert real in of(world, "a")
    assert len(of(world, "a")) == 2
    world.decide({"a": 0})
    live(world, 5)
    assert (real in world.real.values()) != stops_paused


@pytest.mark.parametrize("stops_paused", [True, False], ids=["as Docker", "as Podman"])
def test_at_the_end_it_goes_by_force_if_need_be(world: SimulatedEngine, stops_paused: bool) -> None:
    world.faults.stops_paused = stops_paused
    world.decide({"a": 3})
    world.run(2)
    for real in of(world, "a")[:2]:
        world.pause(real)
    live(world, 3)
    world.reconciler.drain()
    for task in world.tasks.tasks:
        task.demand = 0
    for _ in range(4):
        live(world, 1)
        world.list()
    assert world.reconciler.idle
    assert not world.real


def test_leaving_leaves_it(world: SimulatedEngine) -> None:
    world.decide({"a": 2})
    world.run(2)
    real = of(world, "a")[0]
    world.pause(real)
    live(world, 3)
    world.reconciler.leave()
    live(world, 3)
    assert world.reconciler.idle
    assert real.paused
    assert len(of(world, "a")) == 3


def test_it_is_adopted_as_what_it_is() -> None:
    world = small_world(random.Random(1), Faults(effect_s=0.05))
    frozen = world.add("a", State.RUNNING, nonce="earlier-1")
    frozen.paused = True
    world.add("a", State.RUNNING, nonce="earlier-2")
    world.list()
    live(world, 3)
    task = world.tasks.get_task("a")
    assert (task.demand, task.requested, task.running) == (1, 1, 1)
    assert len(world.real) == 2


@pytest.mark.parametrize("paused", [0, 1, 3])
@pytest.mark.parametrize("stops_paused", [True, False], ids=["as Docker", "as Podman"])
def test_a_hand_over_goes_round_it(paused: int, stops_paused: bool) -> None:
    """Nobody waits for a place that a frozen one has, and no minimum is kept by one."""
    loop = Loop(1, Faults(effect_s=0.1, stops_paused=stops_paused))
    settle(loop)
    assert loop.running() == {"web": 2, "mail": 1, "batch": 7}
    for real in of(loop.engine, "batch")[:paused]:
        loop.engine.pause(real)
    settle(loop)
    loop.push("web", 500)
    settle(loop)
    assert loop.running() == {"web": 8 - paused, "mail": 1, "batch": 1 + paused}
    loop.push("web", 0)
    settle(loop)
    assert loop.running() == {"web": 2, "mail": 1, "batch": 7}


def test_the_only_one_that_is_paused_is_no_minimum() -> None:
    loop = Loop(1, Faults(effect_s=0.1))
    settle(loop)
    (mail,) = of(loop.engine, "mail")
    loop.engine.pause(mail)
    settle(loop)
    assert loop.running() == {"web": 2, "mail": 2, "batch": CAP - 4}
    loop.push("mail", 500)
    settle(loop)
    loop.push("mail", 0)
    settle(loop)
    assert mail.paused
    assert loop.running() == {"web": 2, "mail": 2, "batch": CAP - 4}, "one works, beside the frozen one"
