"""What a fleet makes of events, answers and listings in any order, and of any containers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError, PermanentError, TemporaryError
from microscaling.scheduler.containers.backend import BackendUnavailable, Event, ListedContainer, State
from microscaling.scheduler.containers.container import Container, Operation, Phase, Work
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from tests.fuzz.checks import fuzz
from tests.fuzz.inputs import ENTROPY, Dice

CAP = 3
IDS = ["c1", "c2", "c3", "c4", "c5"]
KINDS = ["create", "start", "kill", "die", "destroy", "", "pause"]
ERRORS = [None, None, None, TemporaryError("late"), PermanentError("no"), BackendUnavailable("away")]
STEPS = 12
dice = st.binary(min_size=4 * ENTROPY, max_size=4 * ENTROPY).map(Dice)


class World:
    """A fleet, and what it has asked for. What the engine says of it is made up."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.now = 0.0
        self.tasks = Tasks(
            [Task(name, priority=i, max_containers=CAP, demand=1) for i, name in enumerate("ab")], CAP
        )
        self.reconciler = ContainerReconciler(self.tasks)
        self.listing = Listing(self.reconciler)
        self.under_way: list[Operation] = []
        self.asked: list[int] = [0]
        self.kept: list[Container] = []  # so that no two have had the same address
        self.labels: dict[str, tuple[str, str]] = {}
        """By id: task and nonce. Of what an engine says this can be relied on: a container keeps them."""
        self.created: dict[int, str] = {}

    def step(self) -> None:
        self.now += self.dice.pick([0.01, 0.5, 3.0, 20.0])
        [self.event, self.listed, self.answer, self.decide, self.ask][self.dice.number(5)]()
        self.take()
        self.check()

    def event(self) -> None:
        kind, id = self.dice.pick(KINDS), self.id()
        task, nonce = self.labels[id]
        event = Event(kind, id, task, nonce, self.dice.pick([None, 0, -1, 137]))
        ran = [c for c in self.reconciler.all() if c.id not in ("", id) and c.phase is Phase.RUNNING]
        self.listing.heard(event.id, event.kind)
        self.reconciler.on_event(event, self.now)
        assert all(c.phase in (Phase.RUNNING, Phase.STOPPING) for c in ran), "another one has ended"

    def id(self) -> str:
        """Of one that was created, or of one that nobody here knows: it may be a clone of ours."""
        id = self.dice.pick([*IDS, *self.created.values()])
        known = (c.nonce for c in self.reconciler.all() if c.nonce != c.id)  # else it has none to be cloned
        nonces = ["", f"{self.reconciler.instance}-99", "other-1", *known]
        self.labels.setdefault(id, (self.dice.pick("abx"), self.dice.pick(nonces)))
        return id

    def listed(self) -> None:
        states = [State.CREATED, State.RUNNING, State.EXITED]
        ids = {self.id() for _ in range(self.dice.number(5))}
        listed = [
            ListedContainer(id, self.labels[id][0], self.dice.pick(states), self.now, self.labels[id][1])
            for id in sorted(ids)
        ]
        self.listing.apply(self.dice.pick(self.asked), listed, self.now)

    def ask(self) -> None:
        self.asked.append(self.listing.ask())
        self.listing.stream_is_broken(self.now)

    def answer(self) -> None:
        if self.under_way:
            operation = self.under_way.pop(self.dice.number(len(self.under_way)))
            if not self.reconciler.call_off(operation, self.now):
                error: MicroscalingError | None = self.dice.pick(ERRORS)
                new = self.created[id(operation.container)] if operation.work is Work.CREATE else ""
                self.reconciler.on_done(operation, error, self.now, new)

    def decide(self) -> None:
        for task in self.tasks.tasks:
            task.demand = self.dice.number(CAP + 1)
        self.reconciler.acting = True
        self.reconciler.reconcile(self.now)

    def take(self) -> None:
        taken = self.reconciler.take()
        for operation in taken:
            container = operation.container
            assert container.busy
            assert container.id or operation.work is Work.CREATE, "an operation on nothing"
            if operation.work is Work.CREATE:
                new = self.created.setdefault(id(container), f"new{len(self.created)}")
                self.labels[new] = container.task.name, container.nonce
        self.under_way += taken
        self.kept += [operation.container for operation in taken]
        assert len({id(operation.container) for operation in self.under_way}) == len(self.under_way), (
            "two at a time"
        )

    def check(self) -> None:
        reconciler = self.reconciler
        for task in self.tasks.tasks:
            mine = reconciler.containers[task.name]
            assert task.requested == sum(1 for c in mine if c.wanted)
            assert 0 <= task.running <= len(mine)
            assert all(c.task is task and reconciler.by_nonce[c.nonce] is c for c in mine)
        for id, container in reconciler.by_id.items():
            assert container.id == id
        assert not reconciler.tombstones or max(reconciler.tombstones.values()) <= reconciler.touches


@fuzz
@given(dice)
def test_any_sequence(dice: Dice) -> None:
    world = World(dice)
    for _ in range(STEPS):
        world.step()


def test_of_two_with_one_nonce_each_is_itself() -> None:
    """What becomes of a container that was cloned with our labels, as `docker commit` does it, says nothing
    of ours."""
    tasks = Tasks([Task("a", max_containers=2, demand=1)], 2)
    reconciler = ContainerReconciler(tasks)
    Listing(reconciler).apply(0, [ListedContainer("c1", "a", State.RUNNING, 1.0, "n-1")], 0.0)
    reconciler.on_event(Event("die", "c2", "a", "n-1", 0), 1.0)
    assert [(c.id, c.phase.value) for c in reconciler.all()] == [("c1", "running")]
