"""The cap holds at every instant, whatever the engine does."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from tests.scheduler.simulated_engine import Faults, SimulatedEngine, small_world

CHANCE = st.sampled_from([0.0, 0.05, 0.2])
FAULTS = st.builds(
    Faults,
    lost_reply=CHANCE,
    refused=CHANCE,
    lost_event=CHANCE,
    repeated_event=CHANCE,
    dies=CHANCE,
    away=CHANCE,
    effect_s=st.sampled_from([0.05, 0.5, 5.0]),
    event_s=st.sampled_from([0.01, 0.3, 4.0]),
)
SEEDS = st.integers(0, 2**32)


def live(world: SimulatedEngine, seconds: int) -> None:
    """Decides at random, sums above the cap included; kills and lists now and then."""
    rng = world.rng
    for _ in range(seconds * 2):
        if rng.random() < 0.3:
            world.decide({t.name: rng.randint(0, 8) for t in world.tasks.tasks})
        if rng.random() < 0.2 and world.real:
            world.kill(rng.choice(list(world.real.values())))
        if rng.random() < 0.2:
            world.list()
        world.tick()
        world.run(0.5)


def begin(seed: int, faults: Faults, there: int = 0) -> SimulatedEngine:
    """An engine with that many containers left by an earlier agent, and an agent that has adopted them."""
    world = small_world(random.Random(seed), faults)
    for i in range(there):
        world.add("abc"[i % 3], State.RUNNING, nonce=f"earlier-{i}")
    world.list()
    world.run(1.0)
    return world


@settings(max_examples=150, deadline=None)
@given(SEEDS, FAULTS, st.sampled_from([0, 3, 8, 13]))
def test_never_more_than_the_cap_run(seed: int, faults: Faults, there: int) -> None:
    world = begin(seed, faults, there)
    live(world, 60)
    assert not world.excess


def test_without_the_check_for_room_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above sees what it is for: a created container that is not parked breaks the cap."""
    monkeypatch.setattr(ContainerReconciler, "room", lambda self: 1000)
    world = begin(1, Faults())
    live(world, 60)
    assert world.excess


@settings(max_examples=100, deadline=None)
@example(1835985, Faults(lost_reply=0.2, refused=0.2, dies=0.2, effect_s=0.05, event_s=4.0))
# A container that was to stop is taken back in place of the probe, and ended no back-off.
@example(80, Faults(0.05, 0.2, lost_event=0.2, repeated_event=0.2, away=0.2, effect_s=0.5, event_s=4.0))
@given(SEEDS, FAULTS)
def test_once_the_faults_are_over_what_runs_is_what_is_wanted(seed: int, faults: Faults) -> None:
    world = begin(seed, faults)
    live(world, 30)
    world.faults = Faults()
    wanted = {"a": 4, "b": 3, "c": 1}
    for _ in range(200):
        world.decide(wanted)
        world.list()
        world.run(1.0)
    assert {name: world.running(name) for name in wanted} == wanted
    assert len(world.real) == 8, "nothing else is left on the engine"
    assert [(t.requested, t.running) for t in world.tasks.tasks] == [(4, 4), (3, 3), (1, 1)]


@settings(max_examples=60, deadline=None)
@given(SEEDS, FAULTS)
def test_draining_leaves_nothing(seed: int, faults: Faults) -> None:
    world = begin(seed, faults)
    live(world, 20)
    world.faults = Faults()
    world.reconciler.drain()
    for _ in range(60):
        world.tick()
        world.list()
        world.run(1.0)
    assert world.reconciler.idle
    assert not world.real
