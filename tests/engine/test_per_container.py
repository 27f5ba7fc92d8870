"""The rule PerContainer, and what every rule that decides on more than the reading can count on."""

from __future__ import annotations

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.scaling import guard, measure, scaling_calculation
from microscaling.metric.measurement import Measurement
from microscaling.metric.toy import ToyMetric
from microscaling.target.base import Observation, Target
from microscaling.target.per_container import PerContainerTarget


def observation(current: int, running: int) -> Observation:
    return Observation(current, running, running, 0.5)


@pytest.mark.parametrize(
    ("items", "running", "wanted"),
    [
        (12, 1, 3),  # rounded up
        (10, 0, 2),
        (0, 3, 0),
        (1, 0, 1),
        (11, 2, 2),  # within 10 % of what two are for
        (9, 2, 2),
        (12, 2, 3),
        (8, 2, 2),  # rounded up
        (5, 2, 1),
        (105, 20, 20),
        (111, 20, 23),
        (89, 20, 18),
    ],
)
def test_as_many_as_the_items_need_at_five_each(items: int, running: int, wanted: int) -> None:
    assert PerContainerTarget(5).decide(observation(items, running)) == wanted


def task(name: str, priority: int, items: int, least: int = 0, most: int = 10, running: int = 0) -> Task:
    return Task(
        name,
        demand=running,
        requested=running,
        running=running,
        priority=priority,
        min_containers=least,
        max_containers=most,
        max_delta=most - least,
        target=PerContainerTarget(5),
        metric=ToyMetric(items),
    )


def settle(tasks: Tasks) -> list[int]:
    """The demand when each decision is carried out before the next."""
    for _ in range(20):
        scaling_calculation(tasks)
        guard(tasks)
        for each in tasks.tasks:
            each.requested = each.running = each.demand
    return [each.demand for each in tasks.tasks]


def test_it_arrives_at_once_and_stays() -> None:
    tasks = Tasks([task("a", 1, 12)], 10)
    scaling_calculation(tasks)
    assert tasks.tasks[0].demand == 3, "not one more at every beat for as long as 12 wait"
    assert settle(tasks) == [3]


def test_it_shares_by_priority_and_gives_back() -> None:
    tasks = Tasks([task("a", 1, 30), task("b", 2, 40, least=1, running=8)], 8)
    assert settle(tasks) == [6, 2]
    tasks.tasks[0].metric.current = 0
    assert settle(tasks) == [0, 8]


def test_the_reason_names_items_and_target() -> None:
    tasks = Tasks([task("a", 1, 12)], 10)
    scaling_calculation(tasks)
    assert str(tasks.tasks[0].reason) == "queue 12 at 5 for each: wants 3 more, 10 free, takes 3"


class Watching(Target):
    """Keeps what it is asked about."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def decide(self, seen: Observation) -> int:
        self.seen.append(seen)
        return seen.running


def test_a_rule_knows_what_runs_and_what_is_asked_for() -> None:
    watching = Watching()
    one = Task("a", requested=4, running=6, stopping=3, parked=1, target=watching, metric=ToyMetric(7))
    one.metric.measured = Measurement(7, 2)
    one.measured_s = 15.0
    measure(Tasks([one], 10))
    seen = Observation(current=7, running=4, requested=4, seconds=15.0, measured=Measurement(7, 2))
    assert watching.seen == [seen]
    assert one.ideal_containers == 4
