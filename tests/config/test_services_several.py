"""Several metrics in one label, and the limits of trust inside of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from microscaling.target.wait import WaitTarget
from tests.config.test_services_labels import of_file, problems, read, same

WAIT = {"ruleType": "Wait", "metricType": "NSQ", "topicName": "t", "channelName": "c", "maxWaitSeconds": 5}
REDIS = {"ruleType": "PerContainer", "metricType": "Redis", "targetPerContainer": 9, "key": "jobs"}


def label(*metrics: dict[str, Any]) -> dict[str, str]:
    return {"max": "8", "metrics": json.dumps(metrics)}


def test_as_json_in_one_label() -> None:
    metrics = [WAIT, {**REDIS, "config": {"url": "redis://r/0"}}]
    task, warnings = read(**label(*metrics))
    assert warnings == []
    assert same(task, of_file(maxContainers=8, metrics=metrics, config={}))
    assert isinstance(task.target.rules[0], WaitTarget)
    assert task.target.rules[1].length == 9


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({**REDIS, "metricType": "Exec", "exec": "id"}, "a label cannot have a command run"),
        ({**REDIS, "METRICTYPE": "exec", "config": {"exec": "id"}}, "a label cannot have a command run"),
        ({**REDIS, "config": {"url": "unix:///run/redis.sock"}}, "cannot name a file or socket"),
        ({**REDIS, "url": "rediss://r?ssl_ca_certs=/etc/x"}, "cannot name a file of the agent's machine"),
        ({**REDIS, "sources": [{"url": "unix:///s", "key": "a"}]}, "cannot name a file or socket"),
        ({**REDIS, "config": {"url": "redis://:${SECRET}@r"}}, "${SECRET} is not among the variables that"),
        ({**REDIS, "url": "redis://r", "key": "${SECRET}"}, "is filled in only in the URL and the headers"),
        ({"ruleType": "Wait", "metricType": "SQL", "databaseURL": "sqlite:////etc/x", "query": "q",
          "maxWaitSeconds": 5}, "cannot name a file or socket"),
    ],
)  # fmt: skip
def test_what_a_label_may_not_ask_for_it_may_not_inside_of_metrics_either(
    entry: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter22")
    found = problems(**label(WAIT, entry))
    assert any(line.startswith("microscaling.metrics") and said in line for line in found), found


def test_a_variable_that_labels_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SECRET", "hunter22")
    task, _ = read("APP_*", **label({**REDIS, "url": "redis://:${APP_SECRET}@r"}))
    assert task.metric.sources[0].key[1] == "redis://:hunter22@r"


def test_a_password_is_warned_of() -> None:
    _, warnings = read(**label({**REDIS, "config": {"url": "redis://:hunter22@r"}}))
    assert any(line.startswith("microscaling.metrics") and "holds a password" in line for line in warnings)


def test_mistakes_name_the_label() -> None:
    (line,) = problems(**label({**WAIT, "maxWaitSeconds": 0}))
    assert line.startswith("microscaling.metrics")
    assert "expected a number from 0.5 to 86400, got 0" in line
    (line,) = problems(max="8", metrics="[")
    assert line.startswith("microscaling.metrics: is no JSON")
    (line,) = problems(max="8", metrics=json.dumps([WAIT]), rule="Wait")
    assert line.startswith("microscaling.rule: means nothing beside metrics")
