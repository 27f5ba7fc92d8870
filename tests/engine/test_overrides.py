"""Tasks that a person has paused or pinned."""

from __future__ import annotations

import dataclasses

import pytest

from microscaling.demand.change import Change
from microscaling.demand.override import Override
from tests.engine.driven import Driven, queue_task

PAUSED = Override()


def pinned(containers: int) -> Override:
    return Override(containers)


def test_a_paused_task_keeps_its_containers_whatever_it_reads() -> None:
    run = Driven(queue_task("a", 4))
    run.tasks.overrides["a"] = PAUSED
    assert run.for_s(5, a=5000) == [4]
    assert run.for_s(30, a=0) == [4]
    assert run.for_s(5) == [4], "nor while it cannot be measured"
    del run.tasks.overrides["a"]
    assert run.for_s(5, a=5000) == [14], "then it goes on, a container a beat"
    assert run.tasks.tasks[0].override == ""


def test_a_paused_task_gives_nothing_to_a_more_important_one() -> None:
    run = Driven(queue_task("a", 10), queue_task("b", 10, priority=2))
    run.tasks.overrides["b"] = PAUSED
    assert run.for_s(5, a=5000, b=0) == [10, 10]
    del run.tasks.overrides["b"]
    assert run.for_s(5, a=5000, b=100) == [20, 0]


def test_a_pinned_task_gets_its_number_and_stays_there() -> None:
    run = Driven(queue_task("a", 4))
    for number in (9, 2, 0, 20):
        run.tasks.overrides["a"] = pinned(number)
        assert run.for_s(2, a=60) == [number]
        assert run.for_s(20, a=0) == [number]
        assert run.for_s(2) == [number], "without a reading, too"
    assert run.tasks.tasks[0].override == "pinned to 20 by hand"


def test_a_pinned_task_takes_from_less_important_ones_and_stays_within_the_cap() -> None:
    run = Driven(queue_task("a", 5), queue_task("b", 15, priority=2))
    run.tasks.overrides["a"] = pinned(12)
    assert run.for_s(2, a=60, b=5000) == [12, 8]
    run.tasks.overrides["b"] = pinned(20)
    assert run.for_s(2, a=60, b=5000) == [12, 8]


def test_the_reason_is_the_person() -> None:
    run = Driven(queue_task("a", 5), queue_task("b", 13, priority=2))
    run.tasks.overrides["a"] = pinned(12)
    run.for_s(2, a=50, b=5000)
    assert str(run.tasks.tasks[0].reason) == "pinned to 12 by hand"


def test_a_less_important_one_takes_free_places_only() -> None:
    run = Driven(queue_task("a", 15), queue_task("b", 0, priority=2))
    run.tasks.overrides["b"] = pinned(10)
    assert run.for_s(2, a=5000, b=0) == [10, 10], "it has a minimum now, and a has none"
    run.tasks.overrides["a"] = PAUSED
    del run.tasks.overrides["b"]
    assert run.for_s(30, a=0, b=0)[0] == 10


def test_the_limits_of_the_configuration_come_back() -> None:
    task = queue_task("a", 4, min_containers=1, max_containers=8)
    run = Driven(task)
    run.tasks.overrides["a"] = pinned(3)
    run.for_s(2, a=60)
    assert (task.min_containers, task.max_containers, task.is_scalable) == (3, 3, True)
    run.tasks.overrides["a"] = PAUSED
    run.for_s(2, a=60)
    assert (task.min_containers, task.max_containers) == (1, 8)
    del run.tasks.overrides["a"]
    run.for_s(2, a=60)
    assert (task.min_containers, task.max_containers, task.is_scalable) == (1, 8, True)


def test_a_change_of_the_configuration_goes_before_what_was_kept() -> None:
    task = queue_task("a", 4, min_containers=1, max_containers=8)
    run = Driven(task)
    run.tasks.overrides["a"] = pinned(8)
    run.for_s(2, a=60)
    new = dataclasses.replace(task, is_scalable=True, min_containers=2, max_containers=6, override="")
    with run.tasks as tasks:
        tasks.apply(Change((new,)))
    assert run.for_s(2, a=60) == [6], "its new maximum"
    del run.tasks.overrides["a"]
    run.for_s(2, a=60)
    assert (task.min_containers, task.max_containers, task.is_scalable) == (2, 6, True)


def test_one_that_is_not_scalable_stays_as_it_is() -> None:
    task = queue_task("a", 4, is_scalable=False)
    run = Driven(task)
    run.tasks.overrides["a"] = pinned(9)
    assert run.for_s(2, a=60) == [4]
    run.tasks.overrides.clear()
    run.for_s(2, a=60)
    assert not task.is_scalable


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (PAUSED, "paused by hand"),
        (Override(3, 1_796_000_000.0), "pinned to 3 by hand until 2026-11-30 00:53:20 UTC"),
    ],
)
def test_words(override: Override, words: str) -> None:
    assert override.words() == words


def test_a_pin_that_is_made_permanent() -> None:
    """The file gets the numbers that it is pinned to; they hold after the pin, and not the earlier ones."""
    task = queue_task("a", 4, min_containers=1, max_containers=8)
    run = Driven(task)
    run.tasks.overrides["a"] = pinned(3)
    run.for_s(2, a=60)
    new = dataclasses.replace(task, min_containers=3, max_containers=3, override="", overruled=None)
    with run.tasks as tasks:
        tasks.apply(Change((new,)))
    run.for_s(2, a=60)
    del run.tasks.overrides["a"]
    run.for_s(2, a=60)
    assert (task.min_containers, task.max_containers) == (3, 3)


@pytest.mark.parametrize(
    ("override", "has", "number"),
    [(PAUSED, 4, 4), (Override(0, down=True), 0, 0), (pinned(2), 2, 2)],
    ids=lambda value: value.words() if isinstance(value, Override) else None,
)
def test_a_reload_does_not_move_it_not_even_for_a_moment(override: Override, has: int, number: int) -> None:
    """The engine may share out anew before its next beat, as the reload has changed the tasks."""
    task = queue_task("a", has, max_containers=8)
    run = Driven(task)
    run.tasks.overrides["a"] = override
    run.for_s(2, a=5000)
    new = dataclasses.replace(
        task, min_containers=5, max_containers=9, is_scalable=True, override="", overruled=None
    )
    with run.tasks as tasks:
        tasks.apply(Change((new,)))
        assert task.override == override.words()
        assert task.own_limits() == (5, 9)
    run.decider.reallocate()
    assert task.demand == number
    assert run.for_s(2, a=5000) == [number]


def test_a_task_that_comes_is_paused_from_its_first_moment_on() -> None:
    run = Driven(queue_task("a", 4))
    run.tasks.overrides["b"] = Override(0, down=True)
    new = queue_task("b", 0, min_containers=3)
    with run.tasks as tasks:
        tasks.apply(Change((new,)))
    run.decider.reallocate()
    assert run.demand() == [4, 0]


def test_a_pin_is_one_step_however_small_those_of_its_rule_are() -> None:
    run = Driven(queue_task("a", 9, min_containers=8, max_containers=10, max_delta=2))
    run.for_s(2, a=60)
    run.tasks.overrides["a"] = Override(0, down=True)
    assert run.measure(a=60) == [0]
    del run.tasks.overrides["a"]
    run.for_s(5, a=60)
    assert run.tasks.tasks[0].max_delta == 2
