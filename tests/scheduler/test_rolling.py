"""Containers of another version, in virtual time: the old ones go only for new ones that work."""

from __future__ import annotations

import logging
import random

import pytest

from microscaling.demand.drain import Drain
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.demand.warm import Warm
from microscaling.demand.web import Web
from microscaling.errors import PermanentError
from microscaling.scheduler.containers.updates import Updates, is_ready, stale_in
from tests.scheduler.simulated_engine import Faults, SimulatedEngine


class World:
    """One task, with containers of version "1" from the beginning on."""

    def __init__(self, cap: int = 12, demand: int = 8, parallel: int = 1, seed: int = 1) -> None:
        self.task = Task("web", max_containers=demand, update_parallel=parallel, version="1")
        self.demand = demand
        self.engine = SimulatedEngine(Tasks([self.task], cap), random.Random(seed), Faults())
        self.reconciler = self.engine.reconciler
        self.reconciler.keeps_outdated = True
        self.updates = Updates(
            self.reconciler, lambda: stale_in(self.reconciler), lambda id: is_ready(self.reconciler, id)
        )
        self.updates.backoff_of = self.reconciler.crash_backoffs.of
        self.fewest = self.most = demand
        self.engine.list()
        self.run(30)
        self.fewest = self.most = demand

    def run(self, seconds: float) -> None:
        for _ in range(round(2 * seconds)):
            for container in self.reconciler.all():  # as the driver does at its call
                container.version = container.version or (self.task.version if container.id else "")
            self.updates.look(self.engine.now)
            self.engine.decide({"web": min(self.demand, self.limit())})
            self.engine.run(0.5)
            self.engine.list()
            self.fewest = min(self.fewest, self.ready())
            self.most = max(self.most, self.engine.running())

    def limit(self) -> int:
        return self.task.demand if self.task.backing_off else self.demand

    def ready(self) -> int:
        mine = self.reconciler.containers["web"]
        return sum(c.is_up and not c.unwanted and is_ready(self.reconciler, c.id) for c in mine)

    def versions(self) -> list[str]:
        mine = self.reconciler.containers["web"]
        return sorted(c.version for c in mine if c.is_up and not c.unwanted)

    def roll(self, version: str = "2") -> None:
        self.task.version = version
        self.reconciler.roster.renew({"web": "1"})


@pytest.mark.parametrize(("cap", "fewest", "most"), [(12, 8, 9), (8, 7, 8)])
def test_one_new_one_then_one_old_one(cap: int, fewest: int, most: int) -> None:
    world = World(cap)
    world.roll()
    world.run(12)
    assert len({*world.versions()}) == 2, "none goes before a new one has been up for 5 s"
    world.run(120)
    assert world.versions() == ["2"] * 8
    assert world.fewest >= fewest
    assert world.most <= most + 1, "with one on its way out"
    assert (world.task.rolling, world.updates.rolling) == ("", False)


@pytest.mark.parametrize("cap", [8, 12])
@pytest.mark.parametrize("web", [None, Web()])
def test_a_task_that_needs_fewer_meanwhile_gives_its_old_ones(cap: int, web: Web | None) -> None:
    world = World(cap)
    world.task.web = web
    world.roll()
    for _ in range(200):
        world.run(0.5)
        runs = [c for c in world.reconciler.all() if c.is_up and is_ready(world.reconciler, c.id)]
        new = {c.id for c in runs if c.version == "2"}
        if len(new) >= 3:
            break
    world.demand = 3
    world.run(60)
    assert {c.id for c in world.reconciler.all()} >= new, "none of the new ones went for an old one"
    assert world.versions() == ["2"] * 3


def test_one_that_drains_does_not_come_back_in_the_place_of_a_new_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(8)
    world.task.drain = Drain(seconds=20)
    world.demand = 4
    world.run(2)
    going = {c.id: c.drain for c in world.reconciler.all() if c.unwanted}
    assert len(going) == 4
    with caplog.at_level(logging.DEBUG):
        world.roll()
        world.run(10)
        world.demand = 6  # and not for more of them either
        world.run(5)
    now = {c.id: c.drain for c in world.reconciler.all() if c.unwanted}
    assert all(now[id] is drain is not None for id, drain in going.items()), "none begins anew"
    assert "its drain is called off" not in caplog.text
    world.run(200)
    assert world.versions() == ["2"] * 6


def test_at_the_end_of_the_agent_none_is_left_that_waits_for_a_new_one() -> None:
    world = World()
    world.roll()
    world.run(3)
    assert any(c.outdated and not c.unwanted for c in world.reconciler.all())
    world.reconciler.drain()
    for _ in range(40):  # from now on nothing is replaced any more
        world.engine.decide({"web": 0})
        world.engine.run(0.5)
        world.engine.list()
    assert not world.engine.real


def test_several_at_a_time() -> None:
    world = World(cap=20, parallel=4)
    world.roll()
    world.run(40)
    assert world.versions() == ["2"] * 8
    assert world.fewest == 8


@pytest.mark.parametrize("cap", [8, 12])
@pytest.mark.parametrize("how", ["crash", "start", "create"])
def test_new_ones_that_fail_stop_it_and_the_old_ones_stay(
    how: str, cap: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(cap)
    world.engine.faults = Faults(broken={"web": how})
    world.roll()
    world.run(60)
    assert world.versions().count("1") >= 7
    assert world.fewest >= 7
    assert (
        sum("the replacement is stopped, as its new containers fail" in line for line in caplog.messages) == 1
    )
    assert world.task.rolling.startswith("its new containers fail")
    world.engine.faults = Faults()
    world.run(60)
    assert world.versions().count("1") >= 7, "it does not begin again by itself"
    world.roll("3")
    world.run(120)
    assert world.versions() == ["3"] * 8


def test_new_ones_that_never_show_that_they_are_ready(caplog: pytest.LogCaptureFixture) -> None:
    world = World(12, demand=2)
    world.engine.faults = Faults(load_s=1e6)
    world.task.warm = Warm(0, "/tmp/ready", file="/tmp/go")
    world.roll()
    world.run(80)
    assert world.versions().count("1") == 2
    waits = "waits for a new one to show that it is ready, as warmAfter has it, and then be healthy, or up"
    assert waits in caplog.text


def test_back_to_the_version_before_touches_no_old_one() -> None:
    world = World()
    world.engine.faults = Faults(broken={"web": "crash"})
    world.roll()
    world.run(60)
    before = {c.id for c in world.reconciler.containers["web"] if c.version == "1"}
    world.engine.faults = Faults()
    world.roll("1")
    world.run(30)
    assert before <= {c.id for c in world.reconciler.containers["web"]}
    assert world.versions() == ["1"] * 8
    assert world.task.rolling == ""


def test_a_restart_replaces_all_and_tries_again_what_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    before = {c.id for c in world.reconciler.containers["web"]}
    assert world.updates.restart("web") == 8
    assert world.task.rolling == "0 of 8 of an earlier configuration are replaced", "at once, for `status`"
    world.run(120)
    assert not before & {c.id for c in world.reconciler.containers["web"]}
    assert world.versions() == ["1"] * 8
    assert world.fewest == 8
    world.engine.faults = Faults(broken={"web": "crash"})
    world.roll()
    world.run(60)
    world.engine.faults = Faults()
    world.updates.restart("web")
    world.run(120)
    assert world.versions() == ["2"] * 8
    with pytest.raises(PermanentError, match="nothing: is no task of containers that the agent makes"):
        world.updates.restart("nothing")


def test_containers_of_an_agent_that_gave_no_version(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.run(5)
    for container in world.reconciler.containers["web"]:
        container.version = ""
    world.updates.look(world.engine.now)
    assert not world.updates.rolling, "of what they are is not known"
    world.roll()
    assert stale_in(world.reconciler) == {c.id for c in world.reconciler.containers["web"]}


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_engine_does_all_are_new_in_the_end(seed: int) -> None:
    world = World(cap=random.Random(seed).choice([8, 9, 20]), seed=seed)
    world.engine.faults = Faults(lost_reply=0.05, lost_event=0.1, repeated_event=0.1, grace_s=3.0)
    world.roll()
    world.run(240)
    world.engine.faults = Faults()
    world.run(120)
    assert world.versions() == ["2"] * 8
    assert not world.engine.excess
