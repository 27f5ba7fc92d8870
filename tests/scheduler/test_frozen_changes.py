"""Frozen and warm containers while the configuration changes and people pause and pin, in virtual time."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.frozen import Yielding
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.demand.warm import Warm
from microscaling.scheduler.containers.backend import ListedContainer, State
from microscaling.scheduler.containers.container import Operation, Phase, Work
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from microscaling.scheduler.containers.updates import Updates, is_ready, stale_in
from tests.scheduler.simulated_engine import Faults, Real, Reply, SimulatedEngine
from tests.scheduler.test_freezer import of

CAP = 8
NAMES = ("a", "b", "c")
FILES = Warm(2, "/tmp/ready", file="/tmp/go")
STOPS = Warm(2, signal="CONT", stops=True)


class World(SimulatedEngine):
    """Three tasks whose configuration changes: `config` is what they are to be."""

    def __init__(self, seed: int, faults: Faults, stops: bool = False) -> None:
        self.config = {
            name: Task(name, priority=n + 1, max_containers=CAP, version="1") for n, name in enumerate(NAMES)
        }
        super().__init__(
            Tasks([replace(task) for task in self.config.values()], CAP), random.Random(seed), faults
        )
        self.pins: dict[str, int] = {}
        self.may_freeze = set(NAMES)
        self.wants = dict.fromkeys(NAMES, 0)
        self.versions: dict[str, str] = {}
        """By nonce, what the label of a container says."""
        self.lowered: list[tuple[float, int]] = []
        """When the cap was lowered, and what it was before."""
        if stops:  # local processes
            self.stops.add("b")
            for task in (self.config["b"], self.tasks.get_task("b")):
                task.warm = STOPS
        self.unplaced: list[str] = []
        """What was awake, and held no place under the cap."""
        self.begin()

    def begin(self) -> None:
        """An agent begins."""
        rec = self.reconciler
        rec.thaw_is_go = rec.limits_tasks = bool(self.stops)
        rec.keeps_outdated = True
        self.updates = Updates(rec, lambda: stale_in(rec), lambda id: is_ready(rec, id))
        self.updates.backoff_of = rec.crash_backoffs.of
        self.list()
        self.run(1.0)

    def snapshot(self) -> list[ListedContainer]:
        return [replace(seen, version=self.versions.get(seen.nonce, "")) for seen in super().snapshot()]

    def replace_agent(self) -> None:
        """The agent is killed, and another one is started, with the file of the last one."""
        kept = self.reconciler.drains.kept()
        self.forget_calls()
        self.reconciler = ContainerReconciler(self.tasks)
        self.listing = Listing(self.reconciler)
        self.reconciler.kept, self.reconciler.knows_frozen = dict(kept), True
        self.begin()

    def pump(self) -> None:
        super().pump()
        for real in self.real.values() if self.reconciler.adopted else ():
            awake = real.state is State.RUNNING and not (real.frozen or self.waits_stopped(real))
            known = self.reconciler.by_id.get(real.id)
            if awake and not (known and known.may_run):
                self.unplaced.append(f"{self.now:.2f} s: {real.task} {real.id} {known and known.phase}")

    def carry_out(self, operation: Operation, reply: Reply, by: object = None) -> None:
        if operation.work is Work.CREATE:
            operation.container.version = operation.container.task.version
            self.versions[operation.container.nonce] = operation.container.version
        super().carry_out(operation, reply, by)

    def reload(self, *names: str, gone: str = "", cap: int | None = None) -> None:
        """Takes over what has changed in `config`."""
        come = tuple(replace(self.config[name]) for name in names)
        change = Change(come, frozenset(gone.split()), cap=cap)
        if cap is not None:
            self.lowered.append((self.now, self.tasks.cap))
        self.reconciler.unmanaged.arriving = frozenset(n for n in names if not self.reconciler.has(n))
        asked, seen = self.listing.ask(), self.snapshot()
        versions = self.reconciler.roster.versions()
        limits.reconfigure(self.tasks, change)
        self.reconciler.roster.take(change, lambda container: False)
        self.reconciler.roster.renew(versions)
        self.listing.apply(asked, seen, self.now)
        self.pump()

    def started(self, real: Real, by: object) -> None:
        # What was asked for under the last cap may still come.
        # One that has stopped itself may count as frozen: its agent was killed before it had frozen it.
        running = self.running() - sum(map(self.waits_stopped, self.real.values()))
        before = max((cap for at, cap in self.lowered if self.now - at < 20), default=0)
        if running > max(before, self.tasks.max_containers):
            super().started(real, by)

    def tick(self) -> None:
        self.updates.look(self.now)
        for task in self.tasks.tasks:
            if not task.backing_off:
                wants = self.pins.get(task.name, self.wants[task.name])
                task.demand = min(task.max_containers, wants)
        self.reconciler.acting = True
        super().tick()

    def live(self, seconds: float) -> None:
        for n in range(round(seconds * 4)):
            self.tick()
            self.run(0.25)
            if n % 8 == 7:
                self.list()

    def change(self) -> None:
        """Something changes in the configuration."""
        rng, name = self.rng, self.rng.choice("bc")
        task, what = self.config[name], self.rng.randrange(9)
        here = [t.name for t in self.tasks.tasks]
        if what == 0:
            count = rng.randint(0, 4)
            task.warm = rng.choice([None, replace(FILES, count=count)])
            if name in self.stops:
                task.warm = replace(STOPS, count=count)
        elif what == 1:
            task.yielding = rng.choice([None, Yielding(rng.randint(1, 8), rng.choice([5.0, 20.0, 300.0]))])
        elif what == 2:
            task.version = str(int(task.version) + 1)
        elif what == 3:
            task.max_containers = rng.choice([0, 2, CAP, CAP])
        elif what == 4:
            if name in here:
                return self.reload(gone=name)
        elif what == 5:
            for other, place in zip(NAMES, rng.sample([1, 2, 3], 3), strict=True):
                self.config[other].priority = place
            return self.reload(*(n for n in NAMES if n in here))
        elif what == 6:
            return self.reload(cap=rng.choice([2, 5, CAP]))
        elif what == 7:
            # A person pins or pauses it, or takes that back.
            self.pins.pop(name, None)
            if rng.random() < 0.6:
                self.pins[name] = rng.randint(0, 4)
        elif task.warm is not None and name not in self.stops:
            task.warm = replace(task.warm, file=f"/tmp/go{rng.randint(0, 9)}")
        self.reload(name)

    def draw(self) -> None:
        left = self.tasks.max_containers
        for name in NAMES:
            self.wants[name] = self.rng.randint(0, left)
            left -= self.wants[name]


def check(seed: int, stops: bool = False) -> None:
    rng = random.Random(seed)
    faults = Faults(0.03, 0.03, 0.05, 0.05, 0.02, effect_s=0.5, load_s=rng.choice([0.0, 2.0]))
    if rng.random() < 0.5:
        faults = Faults(effect_s=rng.choice([0.05, 0.5, 2.0]), load_s=faults.load_s)
    world = World(seed, faults, stops)
    for _ in range(60):
        if rng.random() < 0.5:
            world.change()
        if rng.random() < 0.6:
            world.draw()
        if rng.random() < 0.1 and (up := of(world, "b", frozen=rng.random() < 0.5)):
            world.kill(rng.choice(up))
        world.live(rng.choice([0.25, 1.0, 5.0]))
        # The next agent would count the containers of a task that has gone, as orphans.
        if stops and rng.random() < 0.1 and len(world.tasks.tasks) == len(NAMES):
            world.replace_agent()
    settle(world)


def settle(world: World) -> None:
    world.faults = Faults(effect_s=0.05)
    world.pins.clear()
    for name in NAMES:
        world.config[name].max_containers = CAP
        world.config[name].yielding = None if name == "a" else world.config[name].yielding
    world.wants = {"a": 2, "b": 2, "c": 2}
    world.reload(*NAMES, cap=CAP)
    world.live(600)
    mine = list(world.reconciler.all())
    assert not any(task.backing_off for task in world.tasks.tasks)
    up = {name: [real for real in of(world, name) if not world.waits_stopped(real)] for name in NAMES}
    assert {name: len(found) for name, found in up.items()} == world.wants
    assert not world.excess
    assert not world.unplaced
    assert not world.wrong
    assert {c.id for c in mine} == set(world.real)
    for name in NAMES:
        task = world.tasks.get_task(name)
        if task.warm is not None:
            assert all(real.told for real in up[name])
        pool = [c for c in world.reconciler.containers[name] if c.warm]
        assert len(pool) == (task.warm.count if task.warm else 0), name
        assert all(c.phase is Phase.FROZEN for c in pool)
        assert {c.version for c in world.reconciler.containers[name]} <= {task.version, ""}
        assert task.running == 2
    assert not world.tasks.hold
    world.reconciler.drain()
    world.wants = dict.fromkeys(NAMES, 0)
    world.live(60)
    assert not world.real


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_changes_it_settles(seed: int, stops: bool) -> None:
    check(seed, stops)


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_frozen_and_thawed_in_quick_turns_has_a_place_as_long_as_it_runs(
    seed: int, stops: bool
) -> None:
    rng = random.Random(seed)
    faults = Faults(effect_s=rng.choice([0.1, 0.5]), reply_s=0.05, event_s=rng.choice([1.0, 3.0]))
    faults.lost_event, faults.repeated_event = rng.choice([(0.0, 0.0), (0.03, 0.05)])
    world = World(seed, faults, stops)
    for name in "bc":
        world.config[name].yielding = Yielding(CAP, 300.0)
    world.reload("b", "c")
    for _ in range(200):
        if rng.random() < 0.05:
            world.change()
        world.draw()
        world.tick()
        world.run(rng.choice([0.1, 0.3]))
        if rng.random() < 0.05:
            world.list()
    settle(world)
