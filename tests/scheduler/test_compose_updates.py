"""Copies of an earlier configuration, on an engine in virtual time: all are told to go within 60 s."""

from __future__ import annotations

import random

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.compose.scheduler import TOLD_WITHIN_S as SOFT_S
from microscaling.scheduler.containers.container import Phase
from microscaling.scheduler.containers.updates import Updates
from tests.scheduler.simulated_engine import Faults, SimulatedEngine

TOLD_WITHIN_S = 60.0


class World:
    """One service with containers of an earlier configuration, from the `up` on."""

    def __init__(
        self,
        faults: Faults | None = None,
        cap: int = 10,
        demand: int = 4,
        most: int = 10,
        parallel: int = 1,
        seed: int = 1,
    ) -> None:
        self.task = Task("web", max_containers=most, update_parallel=parallel)
        self.demand, self.cap = demand, cap
        tasks = Tasks([self.task], cap)
        self.engine = SimulatedEngine(tasks, random.Random(seed), Faults())
        self.engine.reconciler.limits_tasks = True
        self.old: set[str] = set()
        self.updates = Updates(self.engine.reconciler, lambda: self.old, lambda id: True, SOFT_S)
        self.engine.list()
        self.beats(20)
        self.old = {one.id for one in self.engine.real.values()}
        assert len(self.old) == demand
        self.fewest, self.most = demand, demand
        self.began = self.engine.now
        self.engine.faults = faults or Faults()

    def beats(self, count: int) -> None:
        for beat in range(count):
            self.updates.look(self.engine.now)
            self.engine.decide({"web": self.demand})
            self.engine.run(0.5)
            if beat % 10 == 0:
                self.engine.list()

    def untold(self) -> set[str]:
        known = self.engine.reconciler.by_id
        return {id for id in self.old if id in known and not known[id].unwanted}

    def until_told(self) -> float:
        """Returns the seconds until all have been told to go."""
        while self.untold():
            self.beats(1)
            mine = self.engine.reconciler.containers["web"]
            up = sum(c.is_up and not c.unwanted for c in mine)
            self.fewest, self.most = min(self.fewest, up), max(self.most, self.engine.running())
            assert self.engine.now - self.began < 300, "never"
        return self.engine.now - self.began

    def ends_well(self) -> None:
        self.engine.faults = Faults()
        self.beats(200)
        assert not self.engine.excess
        assert self.old & self.engine.real.keys() == set()
        assert self.engine.running() == self.demand
        assert not any(c.outdated for c in self.engine.reconciler.all())


def test_the_new_one_comes_before_the_old_one_goes() -> None:
    world = World()
    assert world.until_told() < TOLD_WITHIN_S
    assert world.fewest == 4
    assert world.most == 5
    world.ends_well()


def test_where_the_cap_is_full_the_old_one_goes_first() -> None:
    world = World(cap=4)
    assert world.until_told() < TOLD_WITHIN_S
    assert world.fewest == 3, "one at a time"
    world.ends_well()


def test_a_service_never_has_more_than_its_maximum() -> None:
    world = World(most=4)
    assert world.until_told() < TOLD_WITHIN_S
    assert (world.fewest, world.most) == (3, 4)
    world.ends_well()


def test_several_at_a_time_are_faster() -> None:
    took = {}
    for parallel in (1, 3):
        world = World(cap=20, demand=8, parallel=parallel)
        took[parallel] = world.until_told()
        assert world.fewest == 8
        assert world.most <= 8 + 2 * parallel, "those included that are on their way out"
        world.ends_well()
    assert took[3] < 0.6 * took[1]


def test_the_health_check_of_the_new_one_is_waited_for() -> None:
    world = World()
    world.updates.is_ready = lambda id: id in world.old
    world.beats(16)
    assert (len(world.untold()), world.engine.running()) == (4, 5)
    world.updates.is_ready = lambda id: True
    world.beats(1)
    assert len(world.untold()) == 3


@pytest.mark.parametrize("how", ["crash", "create", "start", "unready"])
@pytest.mark.parametrize("cap", [4, 20])
def test_all_go_in_time_when_the_new_ones_fail(how: str, cap: int) -> None:
    world = World(Faults(broken={"web": how}), cap=cap)
    if how == "unready":
        world.updates.is_ready = lambda id: id in world.old
    assert world.until_told() < TOLD_WITHIN_S
    world.ends_well()


@pytest.mark.parametrize("seed", range(8))
def test_all_go_in_time_whatever_the_engine_does(seed: int) -> None:
    faults = Faults(lost_reply=0.1, lost_event=0.1, refused=0.05, repeated_event=0.1, grace_s=5.0)
    world = World(faults, cap=random.Random(seed).choice([6, 8, 20]), demand=6, seed=seed)
    assert world.until_told() < TOLD_WITHIN_S
    world.ends_well()


def test_what_has_not_started_goes_at_once() -> None:
    world = World(cap=4)
    world.demand = 6
    world.beats(10)  # two are parked
    parked = [c for c in world.engine.reconciler.all() if c.phase is Phase.CREATED]
    assert parked
    world.old |= {c.id for c in parked}
    world.updates.look(world.engine.now)
    assert all(c.unwanted for c in parked)


def test_nothing_is_replaced_while_somebody_else_is_at_work() -> None:
    world = World()
    world.engine.reconciler.quiet["web"] = world.engine.now + 20
    world.beats(38)
    assert len(world.untold()) == 4
    assert world.until_told() < TOLD_WITHIN_S


def test_back_to_the_configuration_that_they_have() -> None:
    """As an edit that is undone: what waits for its replacement stays."""
    world = World()
    world.updates.look(world.engine.now)
    kept, world.old = world.old, set()
    world.beats(20)
    assert kept <= world.engine.real.keys()
    assert world.engine.running() == 4


def test_a_replacement_outlives_a_change_of_demand() -> None:
    world = World(demand=5)
    world.beats(2)
    world.demand = 2
    assert world.until_told() < TOLD_WITHIN_S
    world.ends_well()
