"""The reconciler while tasks come, take another configuration, and go."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.container import Container, Phase, Work
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from tests.scheduler.simulated_engine import Faults, SimulatedEngine, small_world
from tests.scheduler.test_cap import FAULTS, SEEDS

ORIGINALS = ("o1", "o2")


def is_original(container: Container) -> bool:
    return container.id in ORIGINALS


class World:
    """Services of Compose: web with an original and a copy, and batch."""

    def __init__(self) -> None:
        self.now = 0.0
        self.tasks = Tasks([Task("web", max_containers=4), Task("batch", max_containers=4)], 4)
        self.reconciler = ContainerReconciler(self.tasks)
        self.reconciler.unmanaged.adopts = True
        self.listing = Listing(self.reconciler)
        self.there = {"o1": "web", "c2": "web"}
        self.list()
        self.reconciler.acting = True

    def list(self, asked: int | None = None, **states: State) -> None:
        asked = self.listing.ask() if asked is None else asked
        shown = [
            ListedContainer(id, name, states.get(id, State.RUNNING), number)
            for number, (id, name) in enumerate(self.there.items())
        ]
        self.now += 1.0
        self.listing.apply(asked, shown, self.now)

    def change(
        self, *come: Task, gone: str = "", left: str = "", asked: int | None = None, **states: State
    ) -> None:
        change = Change(come, frozenset(gone.split()), frozenset(left.split()))
        names = frozenset(task.name for task in come if not self.reconciler.has(task.name))
        self.reconciler.unmanaged.arriving = names
        limits.reconfigure(self.tasks, change)
        self.reconciler.roster.take(change, is_original)
        self.list(asked, **states)

    def operations(self) -> list[tuple[Work, str]]:
        self.now += 10.0
        self.reconciler.reconcile(self.now)
        return sorted(((o.work, o.container.id) for o in self.reconciler.take()), key=str)

    def counts(self, name: str) -> tuple[int, int, int]:
        task = self.tasks.get_task(name)
        return task.demand, task.requested, task.running

    def done(self, id: str) -> None:
        """An operation under way has ended the container."""
        del self.there[id]
        self.reconciler.on_event(Event("destroy", id, "web"), self.now)
        self.reconciler.reconcile(self.now)


def test_of_a_task_that_comes_what_runs_is_adopted() -> None:
    world = World()
    world.there |= {"n1": "new", "n2": "new", "n3": "new"}
    world.change(Task("new", max_containers=4), n3=State.EXITED)
    assert world.counts("new") == (2, 2, 2)
    assert world.counts("web") == (2, 2, 2)
    assert world.operations() == [(Work.REMOVE, "n3")]


def test_events_that_are_newer_than_the_listing_count() -> None:
    world = World()
    world.there |= {"n1": "new", "n2": "new", "n3": "new"}
    world.reconciler.unmanaged.arriving = frozenset({"new"})
    asked = world.listing.ask()
    world.reconciler.on_event(Event("die", "n1", "new", exit_code=0), 0.5)
    world.reconciler.on_event(Event("destroy", "n2", "new"), 0.5)
    world.reconciler.on_event(Event("start", "other", "unknown"), 0.5)
    world.change(Task("new", max_containers=4), asked=asked)
    assert world.counts("new") == (1, 1, 1)


def test_with_other_labels_a_task_keeps_its_containers() -> None:
    world = World()
    before = list(world.reconciler.all())
    world.change(Task("web", max_containers=1, priority=3))
    assert list(world.reconciler.all()) == before
    assert world.counts("web") == (1, 1, 2)
    assert [work for work, _ in world.operations()] == [Work.STOP]


def test_of_a_task_that_goes_the_copies_are_removed_and_nothing_else() -> None:
    world = World()
    world.change(gone="web")
    assert [task.name for task in world.tasks.tasks] == ["batch"]
    assert world.operations() == [(Work.STOP, "c2")]
    # An original that is switched off may start and be listed: it is nothing to us.
    world.there["o2"] = "web"
    world.reconciler.on_event(Event("start", "o2", "web", foreign=True), world.now)
    world.list()
    assert world.operations() == []
    world.done("c2")
    assert world.reconciler.by_name.keys() == {"batch"}
    world.list()
    assert [c.id for c in world.reconciler.all()] == []


def test_its_share_is_free_at_once_and_taken_when_its_containers_have_gone() -> None:
    world = World()
    world.there |= {"c3": "web", "c4": "web"}
    world.list()
    world.change(gone="web")
    assert world.tasks.check_capacity() == 4
    world.tasks.get_task("batch").demand = 4
    works = [work for work, _ in world.operations()]
    assert (works.count(Work.CREATE), works.count(Work.STOP)) == (4, 3)
    for number, container in enumerate(world.reconciler.containers["batch"]):
        world.reconciler.bind(container, f"b{number}")
        container.busy, container.phase = False, Phase.CREATED
    starts = [id for work, id in world.operations() if work is Work.START]
    assert len(starts) == 1, "the place of the original, which does not count any more"


def test_one_whose_labels_are_wrong_keeps_all_that_runs() -> None:
    world = World()
    world.tasks.get_task("web").demand = 3
    assert world.operations() == [(Work.CREATE, "")]
    world.change(left="web")
    assert world.operations() == [], "the one that is being created is waited for"
    (created,) = world.reconciler.all()
    assert created.unwanted
    world.change(Task("web", max_containers=4))
    assert world.counts("web") == (2, 2, 2)


def test_one_that_is_back_before_its_last_container_has_gone() -> None:
    world = World()
    world.change(gone="web")
    assert world.operations() == [(Work.STOP, "c2")]
    del world.there["o1"]
    world.there["o2"] = "web"
    web = Task("web", max_containers=4)
    world.change(web)
    assert world.counts("web") == (1, 1, 2)
    world.done("c2")
    assert world.counts("web") == (1, 1, 1)
    assert world.reconciler.has("web")
    assert world.operations() == []


def test_a_back_off_goes_with_its_task() -> None:
    world = World()
    web = world.tasks.get_task("web")
    for _ in range(3):
        world.reconciler.crash_backoffs.record_failure(web, "crashed", world.now)
    assert web.backing_off
    world.change(gone="web")
    assert (web.backing_off, world.tasks.occupied) == (False, 0)
    world.change(Task("web", max_containers=4))
    assert not world.tasks.get_task("web").backing_off


def test_what_does_not_stop_keeps_its_place_under_the_cap() -> None:
    world = World()
    world.change(gone="web")
    (copy,) = world.reconciler.all()
    copy.stubborn = True
    world.operations()
    assert (world.tasks.occupied, world.tasks.places()) == (1, 3)
    world.done("c2")
    assert (world.tasks.occupied, world.tasks.places()) == (0, 4)


# The cap, whatever the engine does


class Changing(SimulatedEngine):
    """Tasks come and go at random."""

    def change(self, come: str = "", gone: str = "") -> None:
        """As the driver does it: a listing, and then the change."""
        new = tuple(Task(name, priority=2, min_containers=1, max_containers=8) for name in come.split())
        arriving = frozenset(task.name for task in new if not self.reconciler.has(task.name))
        self.reconciler.unmanaged.arriving = arriving
        asked, shown = self.listing.ask(), self.snapshot()
        delay = self.rng.uniform(0, self.faults.reply_s)
        self.at(delay, self._take_over, Change(new, frozenset(gone.split())), arriving, asked, shown)

    def _take_over(
        self, change: Change, arriving: frozenset[str], asked: int, shown: list[ListedContainer]
    ) -> None:
        self.reconciler.unmanaged.arriving = arriving
        limits.reconfigure(self.tasks, change)
        self.reconciler.roster.take(change, lambda container: False)
        self.listing.apply(asked, shown, self.now)

    def live(self, seconds: int, at_random: Callable[[], None]) -> None:
        for _ in range(seconds * 2):
            at_random()
            self.tick()
            self.run(0.5)
            self.check()

    def check(self) -> None:
        reconciler = self.reconciler
        for task in self.tasks.tasks:
            mine = reconciler.containers[task.name]
            assert reconciler.by_name[task.name] is task
            assert task.requested == sum(1 for c in mine if c.wanted)
            assert all(c.task is task for c in mine)
        assert reconciler.departing <= reconciler.by_name.keys()
        assert not reconciler.departing & {task.name for task in self.tasks.tasks}


def begin(seed: int, faults: Faults) -> Changing:
    small = small_world(random.Random(seed), faults)
    world = Changing(small.tasks, small.rng, faults)
    world.list()
    world.run(1.0)
    return world


def live(world: Changing, seconds: int) -> None:
    rng = world.rng

    def at_random() -> None:
        here = [task.name for task in world.tasks.tasks]
        if rng.random() < 0.3:
            world.decide({name: rng.randint(0, 8) for name in here})
        if rng.random() < 0.1:
            world.change(come=rng.choice("abcd"))
        if rng.random() < 0.1 and here:
            world.change(gone=rng.choice(here))
        if rng.random() < 0.1 and world.real:
            world.kill(rng.choice(list(world.real.values())))
        if rng.random() < 0.2:
            world.list()

    world.live(seconds, at_random)


@settings(max_examples=60, deadline=None)
@given(SEEDS, FAULTS)
def test_the_cap_holds_while_tasks_come_and_go(seed: int, faults: Faults) -> None:
    world = begin(seed, faults)
    live(world, 60)
    assert not world.excess


def test_without_the_departing_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above sees what it is for: containers of a task that has gone count while they run."""
    monkeypatch.setattr(ContainerReconciler, "room", lambda self: self.tasks.max_containers - sum(
        c.may_run for c in self.all() if c.task.name not in self.departing))  # fmt: skip
    worlds = [begin(seed, Faults(grace_s=3.0)) for seed in range(5)]
    for world in worlds:
        live(world, 60)
    assert any(world.excess for world in worlds)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.2]))
def test_once_it_is_calm_what_runs_is_what_is_wanted(seed: int, chance: float) -> None:
    world = begin(seed, Faults(refused=chance, lost_event=chance, dies=chance, away=chance))
    live(world, 30)
    world.faults = Faults()
    world.run(30.0)
    world.change(come="a b", gone="c d")
    wanted = {"a": 4, "b": 3}

    def decide() -> None:
        world.list()
        here = {task.name for task in world.tasks.tasks}
        world.decide({name: count for name, count in wanted.items() if name in here})

    world.live(200, decide)
    assert {name: world.running(name) for name in "abcd"} == {**wanted, "c": 0, "d": 0}
    assert world.reconciler.by_name.keys() == wanted.keys()
