"""The reconciler where others create, start and stop containers of the tasks too, as Compose does."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.container import Work
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler


class Shared:
    def __init__(self, demand: int) -> None:
        self.task = Task("web", demand=demand, max_containers=4)
        self.reconciler = ContainerReconciler(Tasks([self.task], 10))
        self.reconciler.unmanaged.adopts = True
        listing = Listing(self.reconciler)
        listing.apply(listing.ask(), [], 0.0)
        self.task.demand = demand

    def appears(self, *ids: str) -> None:
        for id in ids:
            self.reconciler.on_event(Event("create", id, "web", foreign=True), 1.0)
            self.reconciler.on_event(Event("start", id, "web", foreign=True), 1.0)

    def operations(self, now: float) -> list[tuple[Work, str]]:
        self.reconciler.acting = True
        self.reconciler.reconcile(now)
        return [(operation.work, operation.container.id) for operation in self.reconciler.take()]


def test_what_others_start_is_adopted_and_holds_no_task() -> None:
    world = Shared(demand=2)
    world.appears("o1", "o2")
    assert not world.reconciler.hold
    assert (world.task.requested, world.task.running) == (2, 2)
    assert world.operations(2.0) == []


def test_what_others_have_started_since_a_listing_was_requested_is_not_gone() -> None:
    world = Shared(demand=2)
    listing = Listing(world.reconciler)
    asked = listing.ask()
    world.appears("o1", "o2")
    listing.apply(asked, [], 2.0)
    assert world.task.running == 2


def test_what_others_start_while_the_first_listing_is_under_way_is_adopted() -> None:
    """That one has it as created, which others are about to start, so it leaves it out."""
    task = Task("web", max_containers=4)
    reconciler = ContainerReconciler(Tasks([task], 10))
    reconciler.unmanaged.adopts = True
    listing = Listing(reconciler)
    asked = listing.ask()
    reconciler.on_event(Event("start", "o2", "web", foreign=True), 1.0)
    for kind in ("start", "die"):
        reconciler.on_event(Event(kind, "o3", "web", foreign=True), 1.0)
    listing.apply(asked, [ListedContainer("o1", "web", State.RUNNING, 1.0)], 1.1)
    assert (task.demand, task.requested, task.running) == (2, 2, 2)


def test_nothing_is_done_while_others_are_at_work() -> None:
    world = Shared(demand=1)
    world.reconciler.quiet["web"] = 3.0
    world.appears("o1", "o2")
    assert world.operations(2.9) == []
    assert world.reconciler.next_due() == 3.0
    assert [work for work, _ in world.operations(3.0)] == [Work.STOP]


def test_the_end_waits_for_nobody() -> None:
    world = Shared(demand=1)
    world.appears("o1")
    world.reconciler.quiet["web"] = 3.0
    world.reconciler.drain()
    assert world.operations(2.0) == [(Work.STOP, "o1")]


def test_the_backend_says_which_goes_first() -> None:
    world = Shared(demand=3)
    world.reconciler.rank = {"o1": 1, "c2": 1_000_002, "o3": 3}.get
    world.appears("c2", "o1", "o3")
    world.task.demand = 2
    assert world.operations(2.0) == [(Work.STOP, "c2")]


def test_a_task_that_others_have_stopped_gets_no_containers() -> None:
    world = Shared(demand=2)
    world.reconciler.resting = {"web"}
    assert world.operations(1.0) == []
    world.reconciler.resting = set()
    assert [work for work, _ in world.operations(2.0)] == [Work.CREATE, Work.CREATE]
