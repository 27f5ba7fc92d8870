"""Who of several agents decides: a store that compares versions, and virtual time."""

from __future__ import annotations

import random

import pytest

from microscaling.errors import TemporaryError
from microscaling.scheduler.replicas.lease import BEAT_S, HELD_S, LEASE_S, Lease, LeaseStore, Record


class Store(LeaseStore):
    """What the orchestrator has, for any number of agents."""

    name = "a store"

    def __init__(self) -> None:
        self.record: Record | None = None
        self.away = False
        self.loses_replies = False
        self.writes = 0

    def read(self, until: float) -> Record | None:
        self._answers()
        return self.record

    def write(self, known: Record | None, holder: str, until: float) -> bool:
        self._answers()
        if known != self.record:
            return False
        self.writes += 1
        self.record = Record("x", str(self.writes), holder)
        if self.loses_replies:
            raise TemporaryError("no answer")
        return True

    def try_write(self, known: Record | None, until: float) -> None:
        self._answers()

    def _answers(self) -> None:
        if self.away:
            raise TemporaryError("it is away")


class Agent:
    """One agent: a clock that its world sets, and what its lease has told."""

    def __init__(self, store: LeaseStore, name: str, now: float = 0.0) -> None:
        self.now = now
        self.told: list[bool] = []
        self.lease = Lease(store, self.told.append, lambda: self.now, name)

    def beat(self, now: float) -> bool:
        self.now = now
        self.lease.beat()
        return self.lease.is_held


def test_the_first_takes_it_and_the_others_stand_by() -> None:
    store = Store()
    a, b = Agent(store, "a"), Agent(store, "b")
    for beat in range(50):
        assert a.beat(beat * BEAT_S)
        assert not b.beat(beat * BEAT_S + 0.1)
    assert (a.told, b.told, b.lease.other) == ([True], [], "a")


def test_of_a_dead_one_it_is_taken_within_5_s() -> None:
    store = Store()
    a, b = Agent(store, "a"), Agent(store, "b")
    a.beat(0.0)
    now = 0.1
    while not b.beat(now):
        now += BEAT_S
    assert LEASE_S <= now <= 5.0
    assert now > HELD_S, "the first had lost it before"


def test_one_that_is_given_back_is_taken_at_once() -> None:
    store = Store()
    a, b = Agent(store, "a"), Agent(store, "b")
    a.beat(0.0)
    assert not b.beat(0.1)
    a.now = 0.2
    a.lease.on_exit()
    assert not a.lease.is_held
    assert b.beat(0.3)


def test_a_frozen_one_has_lost_it_when_it_wakes() -> None:
    store = Store()
    a, b = Agent(store, "a"), Agent(store, "b")
    a.beat(0.0)
    for now in (0.1, 2.0, 3.4, 3.6, 4.2):
        b.beat(now)
    assert b.lease.is_held
    a.now = 4.3
    assert not a.lease.is_held, "without any request"
    assert not a.beat(4.3)
    assert a.told == [True, False]


def test_one_that_is_cut_off_takes_it_again_if_nobody_else_has() -> None:
    store = Store()
    a = Agent(store, "a")
    a.beat(0.0)
    store.away = True
    assert a.beat(1.0), "for as long as it counts on it"
    assert not a.beat(HELD_S + 0.1)
    store.away = False
    assert a.beat(HELD_S + 0.7)
    assert a.told == [True, False, True]


def test_a_write_without_an_answer_is_no_lease() -> None:
    store = Store()
    store.loses_replies = True
    a, b = Agent(store, "a"), Agent(store, "b")
    assert not a.beat(0.0)
    store.loses_replies = False
    assert not b.beat(0.1), "it may be the other's"
    assert a.beat(0.2)


@pytest.mark.parametrize("seed", range(30))
def test_no_two_ever_hold_it_together(seed: int) -> None:
    """Three agents whose beats come when they like: late, never, or with answers that are lost."""
    dice = random.Random(seed)
    store = Store()
    agents = [Agent(store, name) for name in "abc"]
    now, held = 0.0, 0
    for _ in range(3000):
        now += dice.random() * 0.4
        store.away = dice.random() < 0.1
        store.loses_replies = dice.random() < 0.1
        for agent in agents:
            agent.now = now
        if dice.random() < 0.02:
            now += dice.random() * 6.0
        agent = dice.choice(agents)
        agent.beat(now)
        for other in agents:
            other.now = now
        holders = [agent.lease.holder for agent in agents if agent.lease.is_held]
        assert len(holders) <= 1
        held += bool(holders)
    assert held > 1000
