"""What `status`, `explain`, `check` and a server say of a task with several metrics."""

from __future__ import annotations

import json

from microscaling.check.measuring import measured
from microscaling.control import views
from microscaling.control.command import _explained
from microscaling.server.domain.modes import SEVERAL, Queues
from microscaling.server.domain.reports import TaskReport
from microscaling.server.domain.user_config import read_plan
from microscaling.settings import Settings
from microscaling.target.per_container import PerContainerTarget
from tests.engine.driven import Driven
from tests.engine.test_each import several

X = {
    "ruleType": "PerContainer",
    "metricType": "Redis",
    "url": "redis://r",
    "key": "x",
    "targetPerContainer": 1,
}


def both() -> Driven:
    return Driven(several(PerContainerTarget(1), PerContainerTarget(10), has=2))


def test_explain_has_each_of_them() -> None:
    run = both()
    run.beat(x=2, y=50)
    told = json.loads(json.dumps(views.explain(run.tasks, "a")))
    assert told["metrics"][1] == {
        "place": "metrics[1]",
        "rule": "PerContainer",
        "metric": "",
        "reading": 50,
        "target": 10,
        "wants": 5,
        "decides": True,
        "problem": "",
    }
    rules = [line for line in _explained(told, "container") if line.startswith("  rule")]
    assert rules == [
        "  rule     metrics[0]  PerContainer, target 1 by : reads 2, wants 2",
        "  rule     metrics[1]  PerContainer, target 10 by : reads 50, wants 5: decides",
    ]
    assert told["problem"] == ""


def test_status_names_the_one_that_fails() -> None:
    run = both()
    run.beat(y=50)
    (told,) = views.status(run.tasks, "PROCESS")["tasks"]
    assert told["problem"] == "metrics[0]: refused"
    lines = list(_explained(views.explain(run.tasks, "a"), "container"))
    assert "  rule     metrics[0]  PerContainer, target 1 by : refused" in lines
    assert "  problem  metrics[0]: refused" in lines


def test_check_has_each_of_them() -> None:
    run = both()
    for member, answer in zip(run.tasks.tasks[0].metric.members, (3, 20), strict=True):
        member.metric.source.fetch = lambda answer=answer: answer
    *_, found = measured(run.tasks, 0.0)
    assert found.text.startswith(
        "a: reads 3 (metrics[0], wants 3), 20 (metrics[1], wants 2); has 2, would have 3"
    )


def test_a_server_holds_it() -> None:
    app = {"name": "a", "maxContainers": 5, "metrics": [X, {**X, "key": "y"}], "config": {"image": "i"}}
    queues = Queues(read_plan({"maxContainers": 5, "apps": [app]}, Settings()))
    assert queues.hear({"a": TaskReport(2, 2, 90)}, 1.0) == []
    assert queues.held() == {"a": SEVERAL}
    assert queues.demand() == {"a": 2}
