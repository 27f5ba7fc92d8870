"""Numbers and names of a task's containers."""

from __future__ import annotations

import re

import pytest

from microscaling.scheduler.containers.backend import ListedContainer, State
from microscaling.scheduler.docker.numbers import Numbers, name_of


def listed(**numbers: int) -> list[ListedContainer]:
    return [ListedContainer(id, "a", State.RUNNING, 0.0, number=number) for id, number in numbers.items()]


def create(numbers: Numbers, id: str, task: str = "a") -> int:
    number = numbers.take(task)
    numbers.created(task, number, id)
    return number


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("worker", "worker-7"),
        ("a", "a-7"),
        ("A.b_c-d", "A.b_c-d-7"),
        ("my worker", "my-worker-7"),
        ("team/worker:3", "team-worker-3-7"),
        ("_.-worker", "worker-7"),
        ("größe", "gr--e-7"),
        ("日本", "task-7"),
        ("x" * 500, "x" * 200 + "-7"),
    ],
)
def test_name(task: str, name: str) -> None:
    assert name_of(task, 7) == name
    assert re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9_.-]+", name)  # as engines want it


def test_the_lowest_that_is_free() -> None:
    numbers = Numbers()
    assert [create(numbers, id) for id in "xyz"] == [1, 2, 3]
    numbers.removed("y")
    assert [create(numbers, id) for id in "uv"] == [2, 4]
    assert create(numbers, "w", task="b") == 1


def test_the_next_one_after_a_name_that_is_taken() -> None:
    numbers = Numbers()
    assert numbers.take("a") == 1
    numbers.created("a", 1)  # refused
    assert numbers.take("a", above=1) == 2
    numbers.created("a", 2, "x")
    assert numbers.take("a") == 1


def test_one_that_is_being_created_has_its_number() -> None:
    numbers = Numbers()
    assert (numbers.take("a"), numbers.take("a")) == (1, 2)


def test_adopted_containers_keep_theirs() -> None:
    numbers = Numbers()
    numbers.listed(numbers.ask(), listed(x=1, y=3, older=0))
    assert [create(numbers, id) for id in "uv"] == [2, 4]


def test_a_listing_shows_which_have_gone() -> None:
    numbers = Numbers()
    assert [create(numbers, id) for id in "xy"] == [1, 2]
    numbers.listed(numbers.ask(), listed(y=2))
    assert create(numbers, "z") == 1


def test_a_listing_from_before_changes_nothing() -> None:
    numbers = Numbers()
    assert [create(numbers, id) for id in "xy"] == [1, 2]
    asked = numbers.ask()
    numbers.removed("x")
    assert [create(numbers, id) for id in "uv"] == [1, 3]
    numbers.listed(asked, listed(x=1, y=2))
    assert create(numbers, "w") == 4
    numbers.removed("u")
    numbers.listed(numbers.ask(), listed(y=2, v=3, w=4))
    assert create(numbers, "z") == 1
