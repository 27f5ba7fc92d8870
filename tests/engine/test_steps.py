"""Limits of how fast a task changes, and its activation."""

from __future__ import annotations

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.step_limit import StepLimit
from microscaling.errors import ConfigError
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.engine.driven import Driven, queue_task


def limited(has: int = 0, **more) -> Driven:
    target = PerContainerTarget(1)
    return Driven(
        queue_task("a", has, **{"target": target, "max_containers": 100, "max_delta": 100, **more}), cap=100
    )


@pytest.mark.parametrize(
    ("limit", "has", "seen"),
    [
        (StepLimit(4, 0, 5), 0, [4, 4, 8, 8, 8, 12]),  # a look each 2 s
        (StepLimit(4, 0, 1), 0, [8, 16, 24, 32, 40, 40]),
        (StepLimit(0, 100, 5), 5, [10, 10, 20, 20, 20, 40]),
        (StepLimit(8, 100, 5), 5, [13, 13, 26, 26, 26, 40]),  # the larger of the two
        (StepLimit(0, 50, 5), 0, [1, 1, 2, 2, 2, 3]),  # one at least
        (None, 5, [40] * 6),
    ],
)
def test_up(limit, has, seen) -> None:
    run = limited(has, scale_up=limit)
    assert [run.for_s(2, a=40)[0] for _ in seen] == seen


@pytest.mark.parametrize(
    ("limit", "seen"),
    [
        (StepLimit(4, 0, 5), [36, 36, 32, 32, 32, 28]),
        (StepLimit(0, 50, 5), [20, 20, 10, 10, 10, 5]),
        (None, [2] * 6),
    ],
)
def test_down(limit, seen) -> None:
    run = limited(40, scale_down=limit)
    assert [run.for_s(2, a=2)[0] for _ in seen] == seen


def test_a_more_important_one_may_take_more() -> None:
    low = queue_task("low", 10, 2, target=PerContainerTarget(1), scale_down=StepLimit(1, 0, 60))
    high = queue_task("high", 0, 1, target=PerContainerTarget(1))
    run = Driven(high, low, cap=10)
    run.for_s(3, high=8, low=10)
    assert run.demand() == [8, 2]


def test_the_minimum_comes_at_once() -> None:
    run = limited(0, scale_up=StepLimit(1, 0, 60), min_containers=5)
    assert run.beat(a=40)[0] >= 5


@pytest.mark.parametrize("target", [PerContainerTarget(10), SimpleQueueLengthTarget(5)])
def test_activation(target) -> None:
    run = Driven(queue_task("a", 0, target=target, activation=20))
    assert run.for_s(30, a=20) == [0], "too little to begin for"
    assert run.for_s(2, a=21)[0] >= 1
    assert run.for_s(5, a=20)[0] >= 1, "and idle only after idleSeconds"
    assert run.for_s(60, a=3) == [0]
    assert run.for_s(60, a=20) == [0]


def test_activation_stops_no_minimum() -> None:
    run = Driven(queue_task("a", 0, target=PerContainerTarget(10), activation=20, min_containers=2))
    assert run.for_s(5, a=20) == [2]


def config(inner: dict[str, object] | None = None, **keys: object) -> dict[str, object]:
    app = {"name": "a", "maxContainers": 9, "ruleType": "PerContainer", "metricType": "NSQ", **keys}
    app["config"] = {
        "image": "x",
        "topicName": "t",
        "channelName": "c",
        "targetPerContainer": 5,
        **(inner or {}),
    }
    return {"maxContainers": 9, "apps": [app]}


def test_the_configuration() -> None:
    up = {"step": 4, "percent": 100, "seconds": 15}
    tasks, _ = apps_from_parsed(config({"activation": 7}, scaleUp=up, scaleDown={"step": 1, "seconds": 60}))
    assert tasks[0].scale_up == StepLimit(4, 100.0, 15.0)
    assert tasks[0].scale_down == StepLimit(1, 0.0, 60.0)
    assert tasks[0].activation == 7
    tasks, _ = apps_from_parsed(config())
    assert (tasks[0].scale_up, tasks[0].scale_down, tasks[0].activation) == (None, None, 0)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"scaleUp": {"step": 4}}, "apps[0].scaleUp.seconds: is missing: the time in which the limit holds"),
        (
            {"scaleUp": {"seconds": 5}},
            "apps[0].scaleUp: has neither step nor percent: without both it limits nothing",
        ),
        (
            {"scaleDown": {"step": 0, "seconds": 5}},
            "apps[0].scaleDown.step: expected a whole number, 1 or more, got 0",
        ),
        (
            {"scaleDown": {"step": 1, "seconds": 9999}},
            "apps[0].scaleDown.seconds: expected a number of seconds from 1 to 1800, got 9999",
        ),
        (
            {"scaleDown": {"step": 1, "seconds": 5, "pods": 3}},
            "apps[0].scaleDown.pods: is not known: there are step, percent, seconds",
        ),
        ({"scaleDown": 3}, "apps[0].scaleDown: expected an object, got 3"),
    ],
)
def test_bad_limits(keys: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        apps_from_parsed(config(**keys))
    assert refused.value.problems == (problem,) or list(refused.value.problems) == [problem]
