"""Containers that the engine itself starts again, by the restart policy of their service; in virtual time."""

from __future__ import annotations

import logging
import random

import pytest

from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.containers.views import views
from tests.scheduler.simulated_engine import Faults, Real, SimulatedEngine, small_world


@pytest.fixture
def world() -> SimulatedEngine:
    """Three containers of a, which have long been up."""
    world = small_world(random.Random(1), Faults())
    world.list()
    world.run(1)
    world.decide({"a": 3})
    world.run(60)
    return world


def beat(world: SimulatedEngine, seconds: float, demand: int = 3) -> None:
    for _ in range(int(2 * seconds)):
        world.decide({"a": demand})
        world.run(0.5)
        world.list()


def a(world: SimulatedEngine) -> list[Real]:
    return sorted(world.real.values(), key=lambda real: real.created)


def states(world: SimulatedEngine) -> list[str]:
    return [view.state for view in views(world.reconciler, "a", world.now)]


def crash_loop(world: SimulatedEngine) -> None:
    """One crashes again and again, as soon as it is up."""
    for _ in range(4):
        world.crash(a(world)[0], 0, back_after_s=1.0)
        beat(world, 3)


def test_it_keeps_its_place_and_is_not_replaced(world: SimulatedEngine) -> None:
    task, before = world.tasks.get_task("a"), set(world.real)
    world.crash(a(world)[0], 3, back_after_s=20)
    beat(world, 10)
    assert sorted(states(world)) == ["restarting", "running", "running"]
    assert (task.requested, task.running, task.parked, task.backing_off) == (3, 2, 1, False)
    assert world.reconciler.room() == 5
    beat(world, 20)
    assert states(world) == ["running"] * 3
    assert (task.running, set(world.real)) == (3, before)


def test_its_place_under_the_cap_is_nobody_elses(world: SimulatedEngine) -> None:
    world.decide({"a": 3, "b": 5})
    world.run(10)
    for real in a(world)[:3]:
        world.crash(real, 3, back_after_s=30)
    world.decide({"a": 3, "b": 6})
    world.run(60)
    assert not world.excess
    assert world.running("b") == 5


@pytest.mark.parametrize("told", [True, False], ids=["by events", "by listings"])
def test_three_ends_soon_after_each_other_are_a_crash_loop(
    world: SimulatedEngine, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    task = world.tasks.get_task("a")
    if not told:
        world.faults.lost_event = 1.0
        world.reconciler.deaf = True
    crash_loop(world)
    assert task.backing_off
    assert world.running("a") == 3, "the others go on, and there are no more"
    assert caplog.text.count("a crash loop") == 1
    world.decide({"a": 3})
    beat(world, 30)
    assert not task.backing_off, "it has stayed up"
    assert "a container stays up: no longer backing off" in caplog.text


def test_of_those_that_crash_one_is_left_to_the_engine(world: SimulatedEngine) -> None:
    task = world.tasks.get_task("a")
    for _ in range(4):
        for real in a(world):
            world.crash(real, 3, back_after_s=1.0)
        beat(world, 3)
    assert task.backing_off
    assert task.demand == 1, "the others have its share"
    assert len(world.real) == 1
    beat(world, 30)
    assert (task.backing_off, world.running("a")) == (False, 3)


def test_an_end_with_code_0_is_no_work_done(world: SimulatedEngine) -> None:
    crash_loop(world)
    assert world.tasks.get_task("a").backing_off
    assert len(world.real) == 3, "none was made in its place"


def test_what_the_engine_gives_up_is_replaced(world: SimulatedEngine) -> None:
    """As on-failure:3 does; each end counts once."""
    real = a(world)[0]
    beat(world, 1)
    world.crash(real, 3, back_after_s=1000)
    world.run(0.4)
    real.state, real.restarting = State.EXITED, False
    beat(world, 20)
    assert real.id not in world.real
    assert states(world) == ["running"] * 3
    assert not world.tasks.get_task("a").failure


def test_one_that_is_found_so_is_adopted() -> None:
    world = small_world(random.Random(1), Faults())
    world.add("a", State.RUNNING).restarting = True
    world.list()
    world.run(1)
    task = world.tasks.get_task("a")
    assert (task.demand, task.requested, task.running) == (1, 1, 0)
    assert states(world) == ["restarting"]
    assert world.reconciler.room() == 7


def test_it_can_be_stopped(world: SimulatedEngine) -> None:
    world.crash(a(world)[2], 3, back_after_s=1000)
    beat(world, 2)
    beat(world, 10, demand=2)
    assert len(world.real) == 2
    assert states(world) == ["running"] * 2
