"""Lives of an agent in virtual time, without a broken invariant; and mutants of it that break them.

A million beats: `make beats`. A life that fails is lived again by what it prints.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine import guard, scaling
from microscaling.engine.readings import Poll, Row
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.counts import Counts
from microscaling.scheduler.containers.crash_backoff import CrashLoopBackoff
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from microscaling.scheduler.occupied import Occupied
from tests.scheduler import beats
from tests.scheduler.invariants import Broken

LIFE = 250
PATIENCE = 20_000
"""Beats within which a mutant must have been caught."""


@pytest.mark.parametrize("seed", range(1, 9))
def test_no_life_breaks_an_invariant(seed: int) -> None:
    try:
        record = beats.run(5_000, seed, LIFE)
    except Exception as error:
        pytest.fail(beats.told(error))
    assert record.beats >= 5_000
    assert record.figures["scaled down"] > 30
    assert record.figures["starts"] > 150


def test_a_seed_says_it_all() -> None:
    first, again = (beats.run(1_000, 5, LIFE) for _ in range(2))
    assert first == again


def test_what_was_disabled_is_logged_again() -> None:
    before = logging.root.manager.disable
    with beats.quiet():
        assert logging.root.manager.disable == logging.CRITICAL
    assert logging.root.manager.disable == before


# Mutants: each is a fault that somebody could make, and the invariant that sees it.

Change = Callable[[pytest.MonkeyPatch], None]


def instead(owner: Any, name: str, mutant: Any) -> Change:
    """The agent with something else in this place."""
    return lambda patch: patch.setattr(owner, name, mutant)


def also(owner: Any, name: str, after: Callable[..., None]) -> Change:
    """The agent that does this as well, afterwards."""
    original = getattr(owner, name)

    def mutant(self: Any, *arguments: Any) -> Any:
        result = original(self, *arguments)
        after(self, *arguments)
        return result

    return lambda patch: patch.setattr(owner, name, mutant)


def stopping_takes_no_place(reconciler: ContainerReconciler, container: Container, now: float) -> None:
    container.may_run = container.may_run and container.phase is not Phase.STOPPING


def only_the_first_is_missed(poll: Poll, reading: Any, now: float, max_age_s: float) -> str:
    return reading.error if reading else "no answer yet"


def never_busy(reconciler: ContainerReconciler, container: Container, now: float) -> None:
    container.busy = False


def an_error_is_a_zero(row: Row) -> None:
    if row.problem:
        row.task.held = row.ours = ""
        row.task.metric.current = 0


def what_is_held_gives(tasks: Tasks, decide: Callable[..., bool] = guard.guard, **how: bool) -> bool:
    for task in tasks.tasks:
        if task.held and task.demand > task.min_containers and not task.backing_off:
            task.demand -= 1
    return decide(tasks, **how) or True


def acts_at_once(reconciler: ContainerReconciler, tasks: Tasks) -> None:
    reconciler.acting = True


def demand_is_nothing(listing: Listing, *_: Any) -> None:
    if not listing.reconciler.acting:
        for task in listing.reconciler.tasks.tasks:
            task.demand = 0


def all_is_unwanted(reconciler: ContainerReconciler) -> None:
    for container in reconciler.all():
        container.unwanted = True


def takes_nothing_back(reconciler: ContainerReconciler, task: Task, missing: int, now: float) -> None:
    for _ in range(missing):
        reconciler.new(task)


def one_to_the_end(
    reconciler: ContainerReconciler, task: Task, want: Callable[..., int] = ContainerReconciler._want
) -> int:
    return 1 if reconciler.draining else want(reconciler, task)


def most_important_last(tasks: Tasks) -> list[Any]:
    return sorted(tasks.tasks, key=lambda task: -task.priority)


def as_the_go_agent_counts(counts: Counts, task: Task, now: float) -> None:
    task.stopping = task.parked = 0


MUTANTS = [
    ("what does not stop has no place", "convergence|rest", instead(Occupied, "note", lambda *_: None)),
    ("what stops freezes its task", "convergence", also(Counts, "write", as_the_go_agent_counts)),
    ("nobody looks for room", "cap", instead(ContainerReconciler, "room", lambda reconciler: 1000)),
    (
        "what is being stopped takes no place",
        "cap",
        also(ContainerReconciler, "_next_step", stopping_takes_no_place),
    ),
    ("nobody waits for an answer", "one at a time", also(ContainerReconciler, "_next_step", never_busy)),
    ("an error is a zero", "reading", also(Row, "apply", an_error_is_a_zero)),
    ("what is held gives", "scale-down", instead(scaling, "guard", what_is_held_gives)),
    ("a reading never gets old", "reading", instead(Poll, "problem", only_the_first_is_missed)),
    ("the guard sleeps", "sum of demand", instead(scaling, "guard", lambda *_, **__: False)),
    ("minimums are a wish", "convergence", instead(guard, "_raise", lambda movable, free, *_: (False, free))),
    ("the least important come first", "convergence", instead(Tasks, "by_priority", most_important_last)),
    ("a second agent is none", "second agent", instead(ContainerReconciler, "hold", False)),
    ("acts before it has decided", "adoption", also(ContainerReconciler, "__init__", acts_at_once)),
    ("demand begins at nothing", "adoption", also(Listing, "apply", demand_is_nothing)),
    ("leaving is draining", "rest|leave", also(ContainerReconciler, "leave", all_is_unwanted)),
    ("nothing is taken back", "shaken", instead(ContainerReconciler, "_add", takes_nothing_back)),
    ("draining keeps one of each", "drain", instead(ContainerReconciler, "_want", one_to_the_end)),
    ("back-off never ends", "convergence", instead(CrashLoopBackoff, "held", lambda trouble: None)),
    ("what is unknown stays so", "convergence", instead(Listing, "_compare", lambda *_: None)),
    ("what is lost is lost", "convergence", instead(Listing, "_missing", lambda *_: None)),
    ("nothing is forgotten", "memory", instead(Listing, "_forget_gone", lambda *_: None)),
    (
        "a late word is believed",
        "gone",
        also(ContainerReconciler, "add_tombstone", lambda reconciler, id: reconciler.tombstones.clear()),
    ),
]


@pytest.mark.parametrize(("invariant", "change"), [pytest.param(i, c, id=name) for name, i, c in MUTANTS])
def test_a_mutant_is_caught(invariant: str, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch)
    with pytest.raises(Broken, match=f"^({invariant}):"):
        beats.run(PATIENCE, 11, LIFE)
