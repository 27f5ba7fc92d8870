"""What an orchestrator is asked for, in virtual time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.replicas.reconciler import Conflict, ReplicaReconciler, Replicas, ScaleRequest

CAP = 10


def reconciler_of(cap: int = CAP, **there: int | None) -> ReplicaReconciler:
    """Adopted at time 0, the most important first; None: it is not there."""
    tasks = Tasks([Task(name, priority=i) for i, name in enumerate(there)], cap)
    reconciler = ReplicaReconciler(tasks, "Fake", "app")
    reconciler.apply(
        {n: None if c is None else Replicas(c, c) for n, c in there.items()}, reconciler.mark(), 0.0
    )
    reconciler.acting = True
    return reconciler


def requests(reconciler: ReplicaReconciler, now: float) -> list[ScaleRequest]:
    """What is asked for now."""
    reconciler.reconcile(now)
    return reconciler.take()


def demand(reconciler: ReplicaReconciler, now: float = 0.0, **counts: int) -> list[ScaleRequest]:
    for name, count in counts.items():
        reconciler.states[name].task.demand = count
    return requests(reconciler, now)


def read(reconciler: ReplicaReconciler, now: float, **counts: Replicas) -> None:
    reconciler.apply(counts, reconciler.mark(), now)


def state(reconciler: ReplicaReconciler) -> dict[str, tuple[int, int, int]]:
    return {t.name: (t.demand, t.requested, t.running) for t in reconciler.tasks.tasks}


def test_adopts_what_is_there_and_asks_for_nothing() -> None:
    reconciler = reconciler_of(a=3, b=0)
    assert state(reconciler) == {"a": (3, 3, 3), "b": (0, 0, 0)}
    assert requests(reconciler, 0.0) == []


def test_before_the_first_decision_nothing_is_asked_for() -> None:
    reconciler = reconciler_of(a=3)
    reconciler.acting = False
    assert demand(reconciler, a=5) == []
    reconciler.acting = True
    assert requests(reconciler, 0.0) == [ScaleRequest("a", 5)]


def test_one_call_at_a_time_and_the_latest_demand_wins() -> None:
    reconciler = reconciler_of(a=1)
    (call,) = demand(reconciler, a=3)
    assert demand(reconciler, a=4) == demand(reconciler, a=5) == []
    reconciler.on_done(call, None, 1.0)
    assert requests(reconciler, 1.0) == [ScaleRequest("a", 5)]


def test_somebody_else_has_scaled_it() -> None:
    reconciler = reconciler_of(a=3)
    read(reconciler, 1.0, a=Replicas(6, 6))
    assert requests(reconciler, 1.0) == [ScaleRequest("a", 3)]


def test_what_gives_way_is_accepted_before_anything_else_is_asked_for() -> None:
    reconciler = reconciler_of(a=2, b=8)
    (down,) = demand(reconciler, a=8, b=2)
    assert down == ScaleRequest("b", 2)
    reconciler.on_done(down, None, 1.0)
    assert requests(reconciler, 1.0) == [ScaleRequest("a", 8)]


def test_what_is_free_is_taken_if_what_gives_way_is_locked() -> None:
    reconciler = reconciler_of(a=2, b=6)
    (down,) = demand(reconciler, a=8, b=2)
    reconciler.on_done(down, Conflict("locked"), 1.0)
    assert requests(reconciler, 1.0) == [ScaleRequest("a", 4)]


def test_what_is_free_goes_to_the_most_important() -> None:
    reconciler = reconciler_of(a=0, b=0, c=10)
    (down,) = demand(reconciler, a=3, b=1, c=6)
    assert down == ScaleRequest("c", 6)
    reconciler.on_done(down, TemporaryError("no answer"), 1.0)
    assert requests(reconciler, 1.0) == []  # nobody knows whether it was accepted
    read(reconciler, 1.1, c=Replicas(8, 10))
    assert requests(reconciler, 1.1) == [ScaleRequest("a", 2)]


def test_above_the_cap_only_less_is_asked_for() -> None:
    reconciler = reconciler_of(a=8, b=8)
    (down,) = demand(reconciler, a=9, b=1)
    reconciler.on_done(down, Conflict("locked"), 1.0)
    assert requests(reconciler, 1.0) == []


@pytest.mark.parametrize(
    ("error", "then"),
    [
        (None, [ScaleRequest("b", 1)]),
        (Conflict("locked"), [ScaleRequest("b", 2)]),  # not accepted, so there is room for another
        (PermanentError("forbidden"), [ScaleRequest("b", 2)]),
        (TemporaryError("no answer"), [ScaleRequest("b", 1)]),  # it may have been
    ],
)
def test_what_became_of_a_call_decides_what_is_free(
    error: Exception | None, then: list[ScaleRequest]
) -> None:
    reconciler = reconciler_of(a=0, b=0)
    (call,) = demand(reconciler, a=9)
    reconciler.on_done(call, error, 1.0)
    if error is not None:
        reconciler.states["a"].task.demand = 0
    assert demand(reconciler, 1.0, b=2) == then


def test_a_doubt_lasts_until_it_is_read_back() -> None:
    reconciler = reconciler_of(a=0, b=0)
    (call,) = demand(reconciler, a=9)
    early = reconciler.mark()
    reconciler.on_done(call, TemporaryError("no answer"), 1.0)
    reconciler.apply({"a": Replicas(0, 0)}, early, 1.0)
    assert demand(reconciler, 1.0, a=0, b=9) == [ScaleRequest("b", 1)]
    read(reconciler, 1.0, a=Replicas(0, 0))
    reconciler.on_done(ScaleRequest("b", 1), None, 1.0)
    assert requests(reconciler, 1.0) == [ScaleRequest("b", 9)]


def test_a_conflict_settles_no_doubt() -> None:
    """What locks it may be just what the lost call has begun."""
    reconciler = reconciler_of(a=0, b=0)
    (call,) = demand(reconciler, a=9)
    reconciler.on_done(call, TemporaryError("no answer"), 0.0)
    assert requests(reconciler, 1.0) == [call]
    reconciler.on_done(call, Conflict("locked"), 1.0)
    assert demand(reconciler, 1.1, a=0, b=9) == [ScaleRequest("b", 1)]


def test_an_answer_from_before_a_call_says_nothing_of_what_is_requested() -> None:
    reconciler = reconciler_of(a=1)
    mark = reconciler.mark()
    (call,) = demand(reconciler, a=3)
    reconciler.on_done(call, None, 1.0)
    reconciler.apply({"a": Replicas(1, 2)}, mark, 1.1)
    assert state(reconciler) == {"a": (3, 3, 2)}


def test_conflicts_back_off_and_never_give_up() -> None:
    reconciler = reconciler_of(a=1)
    demand(reconciler, a=2)
    now, waits = 0.0, []
    for _ in range(9):
        reconciler.on_done(ScaleRequest("a", 2), Conflict("locked"), now)
        due = reconciler.next_due()
        assert due is not None
        assert requests(reconciler, due - 0.01) == []
        assert requests(reconciler, due) == [ScaleRequest("a", 2)]
        waits.append(due - now)
        now = due
    assert waits == [0.25, 0.5, 1, 2, 4, 5, 5, 5, 5]


def test_what_has_come_due_and_finds_no_room_is_not_due_over_and_over() -> None:
    reconciler = reconciler_of(a=1, b=9)
    (call,) = demand(reconciler, b=8)
    assert demand(reconciler, a=2) == []
    reconciler.states["a"].not_before = 0.25
    assert reconciler.next_due() == 0.25
    assert requests(reconciler, 0.25) == []
    assert reconciler.next_due() is None
    reconciler.on_done(call, None, 0.5)
    assert requests(reconciler, 0.5) == [ScaleRequest("a", 2)]


def test_a_success_ends_the_back_off() -> None:
    reconciler = reconciler_of(a=1)
    (call,) = demand(reconciler, a=2)
    for now in (0.0, 1.0, 2.0):
        reconciler.on_done(call, Conflict("locked"), now)
        requests(reconciler, now + 1)
    reconciler.on_done(call, None, 3.0)
    assert reconciler.next_due() is None
    (call,) = demand(reconciler, 3.0, a=3)
    reconciler.on_done(call, Conflict("locked"), 3.0)
    assert reconciler.next_due() == 3.25


def test_a_lock_that_is_seen_to_go_is_not_waited_for() -> None:
    reconciler = reconciler_of(a=1)
    (call,) = demand(reconciler, a=2)
    reconciler.on_done(call, Conflict("locked"), 0.0)
    read(reconciler, 0.1, a=Replicas(1, 1, locked=True))
    assert requests(reconciler, 0.1) == []
    read(reconciler, 0.2, a=Replicas(1, 1))
    assert requests(reconciler, 0.2) == [call]


def test_a_lock_that_was_never_seen_is_waited_for() -> None:
    reconciler = reconciler_of(a=1)
    (call,) = demand(reconciler, a=2)
    reconciler.on_done(call, Conflict("locked"), 0.0)
    read(reconciler, 0.1, a=Replicas(1, 1))
    assert requests(reconciler, 0.1) == []


def test_a_delay_that_was_asked_for_is_kept() -> None:
    reconciler = reconciler_of(a=1)
    (call,) = demand(reconciler, a=2)
    reconciler.on_done(call, TemporaryError("too many requests", 3.0), 0.0)
    assert reconciler.next_due() == 3.0


def test_what_is_missing_is_said_once_and_not_created(caplog: pytest.LogCaptureFixture) -> None:
    reconciler = reconciler_of(a=None, b=1)
    reconciler.apply({"a": None}, reconciler.mark(), 1.0)
    assert demand(reconciler, 1.0, a=3, b=2) == [ScaleRequest("b", 2)]
    task = reconciler.states["a"].task
    assert (task.demand, task.backing_off) == (0, True)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("a: Fake has no app a;")


def test_what_was_missing_is_adopted_when_it_comes() -> None:
    reconciler = reconciler_of(a=None)
    read(reconciler, 1.0, a=Replicas(2, 1))
    task = reconciler.states["a"].task
    assert (task.demand, task.requested, task.running, task.backing_off) == (2, 2, 1, False)
    assert demand(reconciler, 1.0, a=3) == [ScaleRequest("a", 3)]


def test_what_is_refused_is_said_once_and_its_share_is_free(caplog: pytest.LogCaptureFixture) -> None:
    reconciler = reconciler_of(a=1)
    task = reconciler.states["a"].task
    for now in (0.0, 1.0, 3.0):
        (call,) = demand(reconciler, now, a=5)
        assert not task.backing_off
        reconciler.on_done(call, PermanentError("forbidden"), now)
        assert (task.demand, task.backing_off) == (1, True)
        assert requests(reconciler, now + 0.9) == []
        requests(reconciler, reconciler.next_due() or 0)
    assert caplog.messages == ["a: forbidden"]


def test_what_was_refused_and_is_accepted_is_well_again() -> None:
    reconciler = reconciler_of(a=1)
    (call,) = demand(reconciler, a=5)
    reconciler.on_done(call, PermanentError("forbidden"), 0.0)
    assert requests(reconciler, 1.0) == []
    (call,) = demand(reconciler, 1.0, a=4)
    reconciler.on_done(call, None, 1.0)
    assert state(reconciler) == {"a": (4, 4, 1)}


def test_one_that_may_not_be_looked_at_keeps_its_share() -> None:
    reconciler = reconciler_of(a=4, b=0)
    reconciler.apply({"a": PermanentError("may not get it")}, reconciler.mark(), 1.0)
    assert demand(reconciler, 1.0, a=0, b=10) == [ScaleRequest("b", 6)]
    assert state(reconciler)["a"] == (4, 4, 4)


def test_pending_instances_do_not_freeze_a_task() -> None:
    reconciler = reconciler_of(a=1)
    task = reconciler.states["a"].task
    (call,) = demand(reconciler, a=3)
    reconciler.on_done(call, None, 5.0)
    read(reconciler, 34.9, a=Replicas(3, 2))
    assert not task.overdue
    reconciler.tasks.changed.clear()
    read(reconciler, 35.0, a=Replicas(3, 2))
    assert task.overdue
    assert reconciler.tasks.changed.is_set()
    read(reconciler, 36.0, a=Replicas(3, 3))
    assert not task.overdue


def test_another_number_gets_a_time_of_its_own_to_settle() -> None:
    reconciler = reconciler_of(a=1)
    (call,) = demand(reconciler, a=3)
    reconciler.on_done(call, None, 0.0)
    read(reconciler, 30.0, a=Replicas(3, 1))
    (call,) = demand(reconciler, 31.0, a=2)
    reconciler.on_done(call, None, 31.0)
    read(reconciler, 60.0, a=Replicas(2, 1))
    assert not reconciler.states["a"].task.overdue


def test_drain_asks_for_none_whatever_stands_against_it() -> None:
    reconciler = reconciler_of(a=3, b=2, c=None)
    (call,) = demand(reconciler, b=4)
    reconciler.on_done(call, PermanentError("forbidden"), 0.0)
    reconciler.drain()
    calls = requests(reconciler, 0.0)
    assert set(calls) == {ScaleRequest("a", 0), ScaleRequest("b", 0)}
    assert not reconciler.idle
    for call in calls:
        reconciler.on_done(call, None, 1.0)
    assert reconciler.idle
    assert reconciler.left() == []


def test_drain_is_not_over_while_one_is_locked() -> None:
    reconciler = reconciler_of(a=3)
    reconciler.drain()
    (call,) = requests(reconciler, 0.0)
    reconciler.on_done(call, Conflict("locked"), 0.0)
    assert not reconciler.idle
    assert reconciler.left() == ["3 of a"]
    assert requests(reconciler, 0.25) == [call]


def test_leave_waits_for_what_is_under_way_and_asks_for_nothing_more() -> None:
    reconciler = reconciler_of(a=3, b=3)
    (call,) = demand(reconciler, a=5)
    reconciler.leaving = True
    assert demand(reconciler, b=1) == []
    assert not reconciler.idle
    reconciler.on_done(call, None, 1.0)
    assert reconciler.idle


class World:
    """An orchestrator that may answer late, conflict, lose an answer, or refuse."""

    def __init__(self, seed: int, there: list[int]) -> None:
        self.rng = random.Random(seed)
        names = [f"t{i}" for i in range(len(there))]
        self.there = dict(zip(names, there, strict=True))
        tasks = [Task(name, priority=self.rng.randint(1, 3)) for name in names]
        self.reconciler = ReplicaReconciler(Tasks(tasks, CAP), "Fake", "app")
        self.flying: list[tuple[ScaleRequest, bool]] = []
        """With whether it has taken effect."""
        self.reads: list[tuple[int, dict[str, Replicas]]] = []
        self.now = 0.0
        self.most = max(CAP, sum(there))

    def step(self) -> None:
        self.now += self.rng.random()
        self.rng.choice([self.decide, self.read, self.hear, self.act, self.answer, self.answer])()
        self.flying += [(call, False) for call in requests(self.reconciler, self.now)]
        assert sum(self.there.values()) <= self.most

    def decide(self) -> None:
        """As the engine does: within the cap, and what backs off stays as it is."""
        self.reconciler.acting = self.reconciler.adopted
        left = CAP - sum(t.demand for t in self.reconciler.tasks.tasks if t.backing_off)
        for task in self.reconciler.tasks.tasks:
            if not task.backing_off:
                task.demand = self.rng.randint(0, max(0, left))
                left -= task.demand

    def read(self) -> None:
        found = {name: Replicas(n, self.rng.randint(0, n)) for name, n in self.there.items()}
        self.reads.append((self.reconciler.mark(), found))

    def hear(self) -> None:
        if self.reads:
            mark, found = self.reads.pop(self.rng.randrange(len(self.reads)))
            self.reconciler.apply(found, mark, self.now)

    def act(self) -> None:
        """Some of what has been asked for takes effect, before anybody knows of it."""
        for i, (call, done) in enumerate(self.flying):
            if not done and self.rng.random() < 0.5:
                self.there[call.name] = call.instances
                self.flying[i] = (call, True)

    def answer(self) -> None:
        if not self.flying:
            return
        call, done = self.flying.pop(self.rng.randrange(len(self.flying)))
        error: TemporaryError | PermanentError | None = TemporaryError("no answer")
        if not done and self.rng.random() < 0.3:
            error = self.rng.choice([Conflict("locked"), PermanentError("forbidden")])
        elif self.rng.random() < 0.7:
            self.there[call.name] = call.instances
            error = None
        self.reconciler.on_done(call, error, self.now)

    def settle(self) -> None:
        """Nothing fails any more."""
        self.now += 100
        for _ in range(20):
            self.read()
            self.reconciler.apply(self.reads.pop()[1], self.reconciler.mark(), self.now)
            calls = [call for call, _ in self.flying] + requests(self.reconciler, self.now)
            self.flying = []
            for call in calls:
                self.there[call.name] = call.instances
                self.reconciler.on_done(call, None, self.now)
            self.now += 100


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), there=st.lists(st.integers(0, 8), min_size=1, max_size=4))
def test_what_is_asked_for_keeps_to_the_cap_whatever_happens(seed: int, there: list[int]) -> None:
    world = World(seed, there)
    for _ in range(200):
        world.step()


@pytest.mark.parametrize("seed", range(10))
def test_whatever_has_happened_it_comes_right(seed: int) -> None:
    world = World(seed, [3, 4, 2])
    for _ in range(100):
        world.step()
    world.settle()
    world.decide()
    wanted = {task.name: task.demand for task in world.reconciler.tasks.tasks}
    world.settle()
    assert world.there == wanted


def test_what_is_heard_of_a_task_that_gives_nothing_back_costs_no_look_at_others() -> None:
    """So an event takes no longer with thousands of tasks."""
    reconciler = reconciler_of(20, a=1, b=1, c=1)
    reconciler.states["a"].task.demand = 2
    of_all: list[float] = []
    reconciler.reconcile = of_all.append  # type: ignore[method-assign]
    reconciler.hear({"a": Replicas(1, 0)}, 1.0)
    assert reconciler.take() == [ScaleRequest("a", 2)]
    reconciler.hear({"c": Replicas(1, 1), "b": Replicas(3, 3), "gone": None}, 2.0)
    assert reconciler.take() == [ScaleRequest("b", 1)]
    assert of_all == []
    reconciler.hear({"c": Replicas(0, 0)}, 3.0)
    assert of_all == [3.0]


def test_a_place_that_is_heard_of_is_used_at_once() -> None:
    reconciler = reconciler_of(a=6, b=4)
    assert demand(reconciler, b=9) == []
    reconciler.hear({"a": None}, 1.0)
    assert reconciler.take() == [ScaleRequest("b", 9)]
