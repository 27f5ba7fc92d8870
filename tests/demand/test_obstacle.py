"""What keeps a task from its containers, in words."""

from __future__ import annotations

import time

import pytest

from microscaling.demand.obstacle import obstacle, waits
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks


def of(stopping: int, draining: int, left_s: float | None, parked: int = 0) -> tuple[Task, Tasks]:
    web = Task("web", requested=parked, parked=parked, max_containers=8, ideal_containers=8)
    until = None if left_s is None else time.monotonic() + left_s + 0.4
    batch = Task("batch", running=8, stopping=stopping, draining=draining, drains_until=until)
    return web, Tasks([web, batch], 8)


@pytest.mark.parametrize(
    ("stopping", "draining", "left_s", "said"),
    [
        (0, 0, None, "the cap, 8, is used up"),
        (3, 0, None, "it waits for 3 that stop"),
        (2, 2, 41 * 60, "it waits for 2 that drain, at most 41 min"),
        (3, 1, 12, "it waits for 3 that stop, 1 of which drains, at most 12 s"),
    ],
)
def test_obstacle(stopping: int, draining: int, left_s: float | None, said: str) -> None:
    assert obstacle(*of(stopping, draining, left_s)) == said


@pytest.mark.parametrize(
    ("parked", "draining", "left_s", "said"),
    [
        (0, 2, 60, ""),
        (2, 0, None, ""),
        (2, 4, 2460, "waits for 2 that drain, at most 41 min"),
        (3, 1, 7200, "waits for 1 that drains, at most 2 h"),
        (1, 1, -5, "waits for 1 that drains, at most 0 s"),
    ],
)
def test_waits(parked: int, draining: int, left_s: float | None, said: str) -> None:
    assert waits(*of(draining, draining, left_s, parked)) == said


def test_one_that_has_asked_for_its_maximum_still_waits_for_places() -> None:
    task, tasks = of(2, 2, 60, parked=2)
    task.requested = task.demand = task.max_containers
    assert obstacle(task, tasks) == "it waits for 2 that drain, at most 60 s"


def test_places_of_others_are_no_riddle() -> None:
    web, tasks = of(0, 0, None)
    tasks.outside = 3
    assert obstacle(web, tasks) == "the cap, 8, is used up (less 3 containers of no task)"
    tasks.occupied, tasks.occupied_by = 1, "1 of batch not stopping"
    assert obstacle(web, tasks).endswith("(less 1 of batch not stopping and 3 containers of no task)")
