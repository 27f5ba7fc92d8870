"""Whatever is read and whatever fails: what fallbacks and windows may never do, and what they leave alone."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscaling.demand.fallback import Fallback
from microscaling.demand.reason import GAVE_WAY, LAST_GAVE, MINIMUM_GAVE, OVER_CAP
from microscaling.demand.task import Task
from microscaling.engine.fallback import FallbackTarget
from microscaling.engine.rest import Rests
from microscaling.engine.scaling import allocate, guard, measure
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.engine.driven import Driven, queue_task

MADE_TO = (GAVE_WAY, MINIMUM_GAVE, LAST_GAVE, OVER_CAP)
LENGTHS = st.one_of(st.integers(0, 100), st.sampled_from([0, 35, 50, 5000, 2**53, None, None, -1, "7"]))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@st.composite
def a_task(draw: st.DrawFn, number: int, policies: bool = True) -> Task:
    least = draw(st.integers(0, 4))
    most = draw(st.integers(least, 12))
    has = draw(st.integers(least, most))
    target = draw(st.sampled_from([QueueLengthTarget, SimpleQueueLengthTarget]))(50)
    more: dict[str, Any] = {}
    if policies and draw(st.booleans()):
        more["fallback"] = Fallback(draw(st.integers(1, 4)), draw(st.integers(0, 15)))
    if policies and draw(st.booleans()):
        more["scale_down_window_s"] = draw(st.sampled_from([0.0, 0.2, 1.0, 3.0]))
    return queue_task(
        f"t{number}", has, draw(st.integers(1, 3)), min_containers=least, max_containers=most,
        max_delta=most - least, target=target, **more,
    )  # fmt: skip


@st.composite
def runs(draw: st.DrawFn, policies: bool = True) -> Driven:
    tasks = [draw(a_task(n, policies)) for n in range(draw(st.integers(1, 5)))]
    least = sum(task.min_containers for task in tasks)
    return Driven(*tasks, cap=draw(st.integers(least, 40)), window_s=draw(st.sampled_from([0.0, 2.0])))


STEPS = st.lists(st.tuples(st.booleans(), st.lists(LENGTHS, min_size=5, max_size=5)), max_size=25)


def given_answers(lengths: list[Any]) -> dict[str, Any]:
    return {f"t{n}": length for n, length in enumerate(lengths)}


def check(run: Driven, before: list[int]) -> None:
    tasks = run.tasks.tasks
    assert sum(task.demand for task in tasks) <= run.tasks.max_containers
    for task, had in zip(tasks, before, strict=True):
        assert task.min_containers <= task.demand <= task.max_containers
        assert bool(task.falling_back) == isinstance(task.target, FallbackTarget)
        assert not (task.falling_back and task.held)
        assert task.fallback or not task.falling_back
        if task.demand < had and task.held:
            assert task.reason is not None
            # A decision that took twice has one reason, made of both.
            assert task.reason.rule in MADE_TO or "; then " in task.reason.rule
            giver_to = [t for t in tasks if t.name == task.reason.other.split(" and ")[0]]
            assert all(not t.held for t in giver_to), "a held one gives way to what is measured or falls back"


@settings(max_examples=300, deadline=None)
@given(runs(), STEPS)
def test_the_cap_and_the_limits_hold_and_held_tasks_stay(run: Driven, steps: list[tuple[bool, Any]]) -> None:
    guard(run.tasks)
    run.settle()
    for settles, lengths in steps:
        before = run.demand()
        run.measure(**given_answers(lengths))
        check(run, before)
        if settles:
            before = run.demand()
            run.settle()
            check(run, before)


@settings(max_examples=200, deadline=None)
@given(runs(), st.lists(st.integers(0, 1000), min_size=5, max_size=5))
def test_alone_with_room_it_gets_to_its_number_and_comes_back(run: Driven, lengths: list[int]) -> None:
    run.tasks.max_containers = 100
    guard(run.tasks)
    run.settle()
    for _ in range(10):
        run.beat()
    for task in run.tasks.tasks:
        if task.fallback:
            wanted = max(task.min_containers, min(task.fallback.containers, task.max_containers))
            assert (task.demand, bool(task.falling_back)) == (wanted, True)
    run.beat(**given_answers(lengths))
    assert not any(task.falling_back or task.held for task in run.tasks.tasks)


@settings(max_examples=200, deadline=None)
@given(runs(policies=False), STEPS)
def test_without_policies_a_beat_is_what_the_calculation_the_guard_and_the_rests_say(
    run: Driven, steps: list[tuple[bool, Any]]
) -> None:
    for task in run.tasks.tasks:
        task.idle_s = 3600.0
    run = Driven(*run.tasks.tasks, cap=run.tasks.max_containers)
    for settles, lengths in steps:
        good = [length if isinstance(length, int) and length >= 0 else 50 for length in lengths]
        twin = copy.deepcopy(run.tasks.tasks)
        by_hand = Driven(*twin, cap=run.tasks.max_containers).tasks
        rests = Rests(twin)
        for task, length in zip(twin, itertools.chain(good), strict=False):
            task.metric.current, task.held = length, ""
        measure(by_hand)
        rests.look(0.0)
        allocate(by_hand)
        guard(by_hand)
        rests.fill(by_hand)
        assert run.measure(**given_answers(good)) == [task.demand for task in twin]
        if settles:
            run.settle()
