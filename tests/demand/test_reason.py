"""The reason of a change explains the number that it comes with."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider, changes_since, demands_of
from microscaling.engine.readings import Readings
from microscaling.engine.rest import Rests
from microscaling.engine.scaling import allocate, guard, scaling_calculation
from microscaling.engine.server import fulfil
from microscaling.metric.toy import ToyMetric
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.engine.test_guard import any_tasks


def remainder(name: str, priority: int, demand: int = 0) -> Task:
    task = Task(name, demand, demand, demand, priority=priority, max_containers=10, max_delta=10)
    task.target = RemainderTarget(10)
    return task


def test_what_rises_says_what_raises_it() -> None:
    batch = remainder("batch", 2)
    invoices = Task("invoices", priority=1, min_containers=1, max_containers=1, max_delta=0)
    invoices.target = SimpleQueueLengthTarget(10)
    tasks = Tasks([invoices, batch], 8)
    Decider(tasks, Readings(tasks.tasks, 1.5)).beat(0.0)
    assert batch.demand == 7
    assert str(batch.reason) == (
        "uses what is left: wants 10 more, 8 free, takes 8; "
        "then gives 1 to invoices, which is below its minimum"
    )


def test_a_short_queue_below_its_minimum_is_no_reason_to_rise() -> None:
    """What waits is less than the target, and the task has none: it rises as its minimum asks."""
    web = Task("web", priority=1, min_containers=2, max_containers=5, max_delta=5, metric=ToyMetric(5))
    web.target = SimpleQueueLengthTarget(20)
    web.ideal_containers, web.settled = 1, True
    allocate(Tasks([web], 8))
    assert web.demand == 2
    assert str(web.reason) == "below its minimum: wants 2, 8 free, takes 2"


def test_so_it_is_when_the_server_decides() -> None:
    tasks = Tasks([remainder("web", 1), remainder("batch", 2)], 10)
    before = demands_of(tasks)
    fulfil(tasks, {"web": 4, "batch": 9})
    changes = {name: (was, now, str(reason)) for name, was, now, reason in changes_since(before)}
    assert changes["batch"] == (
        0, 6, "the server wants 9; then 3 too many for the cap of 10: gives back 3",
    )  # fmt: skip


def test_what_comes_back_to_the_same_number_keeps_its_old_reason() -> None:
    batch = remainder("batch", 2, 7)
    tasks = Tasks([Task("a", 1, 1, 1, priority=1, min_containers=2, max_containers=2), batch], 9)
    batch.reason = old = None
    before = demands_of(tasks)
    allocate(tasks)
    guard(tasks)
    changes = {name: demand for name, _, demand, _ in changes_since(before)}
    assert ("batch" in changes) == (batch.demand != 7)
    if batch.demand == 7:
        assert batch.reason is old


RISES = re.compile(r"\btakes\b|\bwants\b|more than decided|cannot be negative|below its minimum")
FALLS = re.compile(r"\bgives\b|fewer than decided")


def ran_behind() -> Tasks:
    """`batch` is brought from 0 to the 2 that it may keep, and then gives one of them."""
    web = Task("web", priority=1, min_containers=2, max_containers=4, max_delta=2)
    batch = Task("batch", 0, 3, 3, priority=2, min_containers=1, max_containers=2, max_delta=1)
    web.target, batch.target = SimpleQueueLengthTarget(20), SimpleQueueLengthTarget(20)
    other = Task("other", 1, 1, 1, priority=2, max_containers=1, held="no answer")
    return Tasks([web, other, batch], 3)


def test_what_gives_back_and_then_gives_way_says_both() -> None:
    tasks = ran_behind()
    before = demands_of(tasks)
    scaling_calculation(tasks)
    changes = {name: (was, now, str(reason)) for name, was, now, reason in changes_since(before)}
    assert changes["batch"] == (
        0, 1, "queue 0 of target 20: has 3 still, can spare 1: 2 more than decided before; "
        "then gives 1 to web, which comes first and is short of 2",
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(any_tasks(), st.booleans())
@example(ran_behind(), False)
def test_every_reason_goes_the_way_of_its_number(tasks: Tasks, rests: bool) -> None:
    before = demands_of(tasks)
    scaling_calculation(tasks)
    guard(tasks)
    if rests:
        Rests(tasks.tasks).fill(tasks)
    for name, was, now, reason in changes_since(before):
        first = str(reason).split(";")[0]
        assert (RISES if now > was else FALLS).search(first), f"{name}: {was} -> {now} ({reason})"


@pytest.mark.parametrize("beats", [50])
def test_reasons_do_not_pile_up(beats: int) -> None:
    a, b = remainder("a", 1, 10), remainder("b", 2)
    b.metric = ToyMetric(0)
    tasks = Tasks([a, b], 10)
    for beat in range(beats):
        before = demands_of(tasks)
        a.min_containers, b.min_containers = (9, 1) if beat % 2 else (1, 9)
        guard(tasks)
        changes_since(before)
        for task in tasks.tasks:
            task.requested = task.running = task.demand
            assert task.reason is None or getattr(task.reason, "earlier", None) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9))
def test_demand_that_ran_ahead_is_brought_back_in_words(requested: int, demand: int) -> None:
    web = Task("web", demand, requested, requested, priority=1, max_containers=20, max_delta=1)
    web.target, web.metric = SimpleQueueLengthTarget(10), ToyMetric(100)
    tasks = Tasks([web], 20)
    before = demands_of(tasks)
    scaling_calculation(tasks)
    for _, was, now, reason in changes_since(before):
        assert now == requested + 1
        assert ("fewer than decided before" in str(reason)) == (now < was)
