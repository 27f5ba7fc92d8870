"""The books of an inventory: what they say is what its containers say, and nothing is decided otherwise."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.container import AT_REST, COUNTS, Container
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from tests.scheduler import beats

LIFE = 250
INDIFFERENT = {
    "nonce", "order", "id", "by_others", "touched", "started", "unexpected_exit", "signalled", "outage",
    "version", "renewed", "relief", "heard", "seen", "asked", "watch", "naming", "healthy", "exit_code",
    "address", "name", "failures", "serial", "changed", "frozen_since", "pause_owed", "thaw_owed",
    "late_pause_until", "late_thaw_until", "thaw_unconfirmed", "tries", "spent", "freezes",
    "handshake", "memory",
}  # fmt: skip
"""Fields that give nobody anything to do while a container runs and is wanted."""
take = ContainerReconciler.take


def lived(seed: int, monkeypatch: pytest.MonkeyPatch, look: Any = None) -> tuple[list[str], Any]:
    """Some lives of an agent; returns its operations, and the figures. `look`: called before each of them."""
    operations: list[str] = []

    def taken(reconciler: ContainerReconciler) -> Any:
        if look is not None:
            look(reconciler)
        found = take(reconciler)
        operations.extend(f"{each} {each.container.order}" for each in found)
        return found

    monkeypatch.setattr(ContainerReconciler, "take", taken)
    return operations, beats.run(400, seed, LIFE)


@pytest.mark.parametrize("seed", range(31, 34))
def test_the_decisions_are_those_of_a_look_at_every_container(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_books = lived(seed, monkeypatch)
    monkeypatch.setattr(Container, "is_at_rest", False)
    assert with_books == lived(seed, monkeypatch)
    assert len(with_books[0]) > 30


def agrees(reconciler: ContainerReconciler) -> None:
    """Compares the books with the containers."""
    every, books = list(reconciler.all()), reconciler.books
    restless = reconciler.restless()
    assert len(every) == len(restless) + books.all_resting()
    assert [c for c in every if c in set(restless)] == restless, "in the same order"
    assert all(c.is_at_rest for c in set(every) - set(restless))
    taken = sum(c.holds_place for c in every)
    assert reconciler.room() == reconciler.tasks.max_containers - reconciler.beginning - taken
    later = [c.not_before for c in every if c.not_before > reconciler._reconciled_at]
    due = reconciler.next_due()
    assert not later or (due is not None and due <= min(later))
    for name, mine in reconciler.containers.items():
        assert books.resting(name) == len(mine) - len(books.restless(name))
        assert [c.serial for c in mine] == sorted(c.serial for c in mine)


@pytest.mark.parametrize("seed", range(41, 42))
def test_the_books_are_right_at_every_moment(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lived(seed, monkeypatch, agrees)


def test_every_field_is_known_to_the_books() -> None:
    """A new field either counts, or is one of those that give nobody anything to do."""
    assert {field.name for field in fields(Container)} == COUNTS | INDIFFERENT
    assert AT_REST.keys() <= COUNTS


class Looks(list[Any]):
    """Counts how often its containers are gone through."""

    rounds = 0

    def __iter__(self) -> Any:
        self.rounds += 1
        return super().__iter__()


def fleet(count: int) -> tuple[ContainerReconciler, Looks]:
    """A fleet of so many containers at rest, and the list of them."""
    reconciler = ContainerReconciler(Tasks([Task("t", demand=count, max_containers=count)], count))
    listing = Listing(reconciler)
    there = [ListedContainer(f"c{i}", "t", State.RUNNING, float(i), f"n{i}") for i in range(count)]
    listing.apply(listing.ask(), there, 0.0)
    reconciler.acting = True
    reconciler.reconcile(1.0)
    counted = Looks(reconciler.containers["t"])
    reconciler.containers["t"] = counted
    return reconciler, counted


def test_an_event_costs_no_look_at_the_other_containers() -> None:
    reconciler, counted = fleet(50)
    assert reconciler.books.all_resting() == 50
    reconciler.on_event(Event("start", "c5", "t", "n5"), 2.0)
    reconciler.on_event(Event("pause", "c5", "t", "n5"), 3.0)
    assert reconciler.restless()[0].id == "c5"
    reconciler.on_event(Event("unpause", "c5", "t", "n5"), 4.0)
    reconciler.on_event(Event("die", "c7", "t", "n7", exit_code=0), 5.0)
    reconciler.on_event(Event("destroy", "c7", "t", "n7"), 6.0)
    reconciler.start_parked(7.0)
    reconciler.next_due()
    assert reconciler.room() >= 0
    assert counted.rounds <= 1, "once for the one that was too many while another was paused"
    assert reconciler.tasks.tasks[0].requested == 50


def test_a_task_that_becomes_a_web_task_is_looked_at_anew() -> None:
    from microscaling.demand.web import Web

    reconciler, _ = fleet(3)
    reconciler.tasks.tasks[0].web = Web()
    reconciler.books.anew(reconciler.all())
    assert len(reconciler.restless()) == 3
