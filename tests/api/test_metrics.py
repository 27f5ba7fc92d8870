"""What the server is told."""

from __future__ import annotations

import json

from microscaling.api.metrics import metrics_message, task_metrics
from microscaling.demand.task import Task
from microscaling.metric.toy import ToyMetric


def message(*tasks: Task) -> str:
    return metrics_message("hello", [task_metrics(task) for task in tasks], 1500000000)


def test_the_message_of_the_design() -> None:
    task = Task("p1", demand=9, requested=3, running=4, metric=ToyMetric(12))
    assert message(task) == (
        '{"user":"hello","metrics":{"tasks":[{"app":"p1","runningCount":4,"pendingCount":3,"metric":12}],'
        '"createdAt":1500000000}}'
    )


def test_a_metric_of_0_is_left_out() -> None:
    tasks = [Task("p1", metric=ToyMetric(0)), Task("p2", requested=1)]
    assert message(*tasks) == (
        '{"user":"hello","metrics":{"tasks":[{"app":"p1","runningCount":0,"pendingCount":0},'
        '{"app":"p2","runningCount":0,"pendingCount":1}],"createdAt":1500000000}}'
    )


def test_no_tasks() -> None:
    assert message() == '{"user":"hello","metrics":{"tasks":[],"createdAt":1500000000}}'


def test_names_come_back_as_they_are() -> None:
    names = ["é", '"', "\n", "\ud800", "<&>"]
    told = json.loads(message(*map(Task, names)))["metrics"]["tasks"]
    assert [task["app"] for task in told] == names
    assert message(*map(Task, names)).isascii()
