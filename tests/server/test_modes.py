"""Who decides what runs."""

from __future__ import annotations

import itertools
import random

import pytest

from microscaling.demand.tasks import Tasks
from microscaling.engine import scaling
from microscaling.metric.measurement import Measurement
from microscaling.server.domain.modes import Queues, random_step, sliders, within_cap
from microscaling.server.domain.reports import TaskReport
from microscaling.server.domain.user_config import DEMO, Plan, read_plan
from microscaling.settings import Settings
from tests.server.running import PLAN


def plan(data: object = PLAN) -> Plan:
    return read_plan(data, Settings())


def test_chance_visits_both_ends_and_leaves_the_rest() -> None:
    demo, chance, seen = plan(DEMO), random.Random(1), []
    demand: dict[str, int] = {}
    for _ in range(1000):
        demand = random_step(demo, demand, chance)
        assert sum(demand.values()) == 10
        seen.append(demand["priority-1"])
    assert set(seen) == set(range(1, 10))
    assert seen.count(1) > 50
    assert seen.count(9) > 50
    assert sum(a != b for a, b in itertools.pairwise(seen)) > 500


@pytest.mark.parametrize(
    "data",
    [{}, {"maxContainers": 0, "apps": DEMO["apps"]}, {"maxContainers": 5, "apps": [DEMO["apps"][0]]}],
)
def test_chance_with_odd_configurations(data: dict[str, object]) -> None:
    odd = plan(data)
    demand: dict[str, int] = {}
    for _ in range(50):
        demand = random_step(odd, demand, random.Random(2))
        assert sum(demand.values()) <= odd.cap


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {"p1": 1, "p2": 1}),
        ({"p1": 9, "p2": 9}, {"p1": 9, "p2": 1}),
        ({"p1": 5, "p2": 5}, {"p1": 5, "p2": 5}),
        ({"p1": 99, "p2": 0, "gone": 4}, {"p1": 9, "p2": 1}),
    ],
)
def test_sliders_within_the_cap(wanted: dict[str, int], expected: dict[str, int]) -> None:
    assert within_cap(plan(), sliders(plan(), wanted)) == expected


def test_queues_decide_as_the_engine_does() -> None:
    ours, theirs = Queues(plan()), plan().tasks()
    running, chance = {"p1": 3, "p2": 5}, random.Random(3)
    for task in theirs.tasks:
        task.demand = running[task.name]
    for beat in range(200):
        metric = chance.randrange(200)
        ours.hear({app: TaskReport(n, n, metric) for app, n in running.items()}, beat * 0.5)
        decide(theirs, running, metric)
        assert ours.demand() == {task.name: task.demand for task in theirs.tasks}
        running = ours.demand()


def decide(tasks: Tasks, running: dict[str, int], metric: int) -> None:
    for task in tasks.tasks:
        task.requested = task.running = running[task.name]
        task.metric.current = metric
    scaling.scaling_calculation(tasks)
    scaling.guard(tasks)


def test_jobs_that_a_worker_has_taken_keep_one_as_in_the_agents_engine() -> None:
    config = {"topicName": "t", "channelName": "c", "targetQueueLength": 50}
    app = {"name": "p1", "maxContainers": 9, "ruleType": "SimpleQueue", "metricType": "NSQ", "config": config}
    queues = Queues(plan({"maxContainers": 10, "apps": [app]}))
    for beat in range(60):
        has = queues.demand().get("p1", 0)
        queues.hear({"p1": TaskReport(has, has, 0, measured=Measurement(0, 2))}, beat * 0.5)
    assert queues.demand() == {"p1": 1}


def test_reports_that_follow_too_soon_are_no_new_measurement() -> None:
    queues = Queues(plan())
    queues.hear({"p1": TaskReport(1, 1, 60), "p2": TaskReport(1, 1)}, 0.0)
    queues.hear({"p1": TaskReport(1, 1, 10_000), "p2": TaskReport(1, 1)}, 0.1)
    assert queues.demand()["p1"] < 9
    queues.hear({"p1": TaskReport(1, 1, 10_000), "p2": TaskReport(1, 1)}, 0.5)
    assert queues.demand()["p1"] == 9


def test_an_agent_keeps_what_it_has_until_measured_and_tasks_it_does_not_have_count_for_nothing() -> None:
    queues = Queues(plan())
    queues.hear({"p2": TaskReport(9, 9)}, 0.0)
    assert queues.demand() == {"p2": 9}


def test_held_tasks_stay_and_are_primed_anew() -> None:
    queues = Queues(plan())
    queues.hear({"p1": TaskReport(4, 4, 50), "p2": TaskReport(6, 6)}, 0.0)
    queues.hear({"p1": TaskReport(4, 4, 0, held="no answer"), "p2": TaskReport(6, 6)}, 0.5)
    assert queues.demand() == {"p1": 4, "p2": 6}
    queues.hear({"p1": TaskReport(4, 4, 52), "p2": TaskReport(6, 6)}, 1.0)
    assert queues.demand() == {"p1": 4, "p2": 6}  # no velocity from before the gap


def test_a_task_that_backs_off_is_the_agents_to_decide() -> None:
    queues = Queues(plan())
    queues.hear({"p1": TaskReport(0, 1, 9000, backing_off=True), "p2": TaskReport(9, 9)}, 0.0)
    assert queues.demand() == {"p1": 1, "p2": 9}


@pytest.mark.parametrize(
    "told", [TaskReport(3, 3), TaskReport(3, 3, 0, held="no answer"), TaskReport(3, 3, 0, fallback="away")]
)
def test_a_task_without_a_reading_is_held(told: TaskReport) -> None:
    queues = Queues(plan())
    for beat in range(10):
        queues.hear({"p1": told, "p2": TaskReport(7, 7)}, beat * 0.5)
    assert queues.demand() == {"p1": 3, "p2": 7}
    assert queues.held().keys() == {"p1"}
    for beat in range(10, 20):
        queues.hear({"p1": TaskReport(3, 3, 0), "p2": TaskReport(7, 7)}, beat * 0.5)
    assert queues.demand()["p1"] == 1
    assert queues.held() == {}


def test_a_task_that_an_agent_no_longer_tells_of_keeps_what_it_had() -> None:
    queues = Queues(plan())
    queues.hear({"p1": TaskReport(4, 4, 50), "p2": TaskReport(6, 6)}, 0.0)
    for beat in range(1, 9):
        queues.hear({"p2": TaskReport(6, 6)}, beat * 0.5)
    assert queues.demand() == {"p1": 4, "p2": 6}
    queues.hear({"p1": TaskReport(4, 4, 900), "p2": TaskReport(6, 6)}, 5.0)
    assert queues.demand() == {"p1": 9, "p2": 1} or queues.demand()["p2"] == 1


def test_containers_that_do_not_stop_freeze_nobody_and_occupy_their_places() -> None:
    """Two of ten places belong to containers of p2 that do not end: p1 gets the other eight at once."""
    queues = Queues(plan())
    for beat in range(6):
        wanted = queues.demand()
        told = {
            "p1": TaskReport(wanted.get("p1", 1), wanted.get("p1", 1), 10_000),
            "p2": TaskReport(wanted.get("p2", 9) + 2, wanted.get("p2", 9), stopping=2),
        }
        queues.hear(told, beat * 0.5, occupied=2)
    assert queues.demand() == {"p1": 7, "p2": 1}


def test_a_task_that_never_settles_moves_in_the_end() -> None:
    queues = Queues(plan())
    queues.hear({"p1": TaskReport(1, 3, 10_000), "p2": TaskReport(1, 1)}, 0.0)
    assert queues.demand()["p1"] == 3, "two of it are being started"
    queues.hear({"p1": TaskReport(1, 3, 10_000, overdue=True), "p2": TaskReport(1, 1)}, 0.5)
    assert queues.demand()["p1"] == 9
