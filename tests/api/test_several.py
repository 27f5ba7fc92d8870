"""Several metrics of one task: what a configuration may say, and what it is told."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.api.schema.json_schema import json_schema
from microscaling.demand.hints import hints
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.redis import RedisMetric
from microscaling.metric.total import TotalMetric
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.wait import WaitTarget
from microscaling.utils.yaml_text import parse as parse_yaml

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")

REDIS = {
    "ruleType": "PerContainer", "metricType": "Redis", "url": "redis://r/0", "key": "jobs",
    "targetPerContainer": 5,
}  # fmt: skip
NSQ = {"ruleType": "Wait", "metricType": "NSQ", "topicName": "t", "channelName": "c", "maxWaitSeconds": 30}
MEASURING = "PerContainer, Queue, SimpleQueue or Wait"


def app(metrics: Any, config: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    one = {"name": "a", "maxContainers": 4, "priority": 1, "metrics": metrics}
    return {"maxContainers": 4, "apps": [{**one, "config": {"image": "a", **(config or {})}, **more}]}


def read(metrics: Any, config: dict[str, Any] | None = None, strict: bool = True, **more: Any) -> Task:
    """The task; there must be no warning, and the schema must take it."""
    warnings: list[str] = []
    data = app(metrics, config, **more)
    task = apps_from_parsed(data, warn=warnings.append, strict=strict)[0][0]
    assert warnings == []
    assert not list(jsonschema.Draft202012Validator(json_schema()).iter_errors(data))
    return task


@pytest.mark.parametrize("strict", [True, False], ids=["YAML", "JSON"])
def test_each_with_a_rule_a_target_and_a_metric(strict: bool) -> None:
    task = read([REDIS, NSQ], strict=strict)
    per_container, wait = task.target.rules
    assert isinstance(per_container, PerContainerTarget)
    assert isinstance(wait, WaitTarget)
    assert (per_container.length, wait.seconds) == (5, 30)
    redis, nsq = task.metric.members
    assert isinstance(redis.metric, RedisMetric)
    assert isinstance(nsq.metric, NSQMetric)
    assert [member.place for member in task.metric.members] == ["metrics[0]", "metrics[1]"]
    assert [member.metric.with_running for member in task.metric.members] == [True, False]
    assert len(task.metric.sources) == 2


def test_the_keys_of_each_may_stand_in_a_config() -> None:
    inner = {key: value for key, value in REDIS.items() if not key.endswith("Type")}
    task = read([{"ruleType": "PerContainer", "metricType": "Redis", "config": inner}])
    assert task.target.rules[0].length == 5


def test_what_all_share_is_said_once() -> None:
    keys = {"ruleType": "PerContainer", "metricType": "Redis"}
    metrics = [
        {**keys, "key": "mails", "targetPerContainer": 7},
        {**keys, "key": "images", "activation": 3, "intervalSeconds": 9, "count": "waiting"},
    ]
    shared = {"url": "redis://r/0", "targetPerContainer": 2, "activation": 1, "intervalSeconds": 2}
    task = read(metrics, shared)
    assert [rule.length for rule in task.target.rules] == [7, 2]
    members = task.metric.members
    assert [member.activation for member in members] == [1, 3]
    assert [member.metric.interval_s for member in members] == [2, 9]
    assert [member.metric.with_running for member in members] == [True, False]
    assert task.metric.interval_s == 9


def test_one_of_them_may_be_added_up() -> None:
    sources = [{"key": "a"}, {"key": "b"}, {"metricType": "NSQ", "topicName": "t", "channelName": "c"}]
    sums = {**REDIS, "sources": sources}
    del sums["key"]
    total = read([sums, NSQ]).metric.members[0].metric
    assert isinstance(total, TotalMetric)
    assert [type(term) for term in total.terms] == [RedisMetric, RedisMetric, NSQMetric]
    assert total.with_running


def test_variables_are_filled_in_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "hunter22")
    url = "redis://:${PW}@r/0"
    plain = {"ruleType": "PerContainer", "metricType": "Redis"}
    metrics = [
        {**REDIS, "url": url},
        {**plain, "config": {"url": url, "key": "b", "targetPerContainer": 1}},
        {**plain, "targetPerContainer": 1, "sources": [{"url": url, "key": "c"}, {"url": url, "key": "d"}]},
    ]
    task = read(metrics)
    assert {source.key[1] for source in task.metric.sources} == {"redis://:hunter22@r/0"}


def test_yaml_in_any_case() -> None:
    text = """
    maxContainers: 4
    apps:
      - name: a
        maxContainers: 4
        metrics:
          - {ruletype: wait, metrictype: nsq, topicname: t, channelname: c, maxwaitseconds: 30}
        config: {image: a}
    """
    task = apps_from_parsed(parse_yaml(text.encode()), strict=True)[0][0]
    assert isinstance(task.target.rules[0], WaitTarget)


@pytest.mark.parametrize(
    ("metrics", "config", "more", "problem"),
    [
        ([], {}, {}, "metrics: is empty: leave it out, or name a metric"),
        ({"a": 1}, {}, {}, "metrics: expected a list, got an object"),
        ([3], {}, {}, "metrics[0]: expected an object with ruleType and metricType, got 3"),
        ([{**REDIS, "ruleType": "Remainder"}], {}, {},
         f"metrics[0].ruleType: expected {MEASURING}, got \"Remainder\""),
        ([{**REDIS, "ruleType": "Wiat"}], {}, {},
         f"metrics[0].ruleType: expected {MEASURING}, got \"Wiat\"; did you mean Wait?"),
        ([{"metricType": "Redis"}], {}, {}, f"metrics[0].ruleType: is missing: expected {MEASURING}"),
        ([{**NSQ, "maxWaitSeconds": 0}], {}, {},
         "metrics[0].maxWaitSeconds: expected a number from 0.5 to 86400, got 0"),
        ([{"ruleType": "Wait", "metricType": "NSQ", "config": {"maxWaitSeconds": -1}}], {}, {},
         "metrics[0].config.maxWaitSeconds: expected a number from 0.5 to 86400, got -1"),
        ([{**REDIS, "config": 7}], {}, {}, "metrics[0].config: expected an object, got 7"),
        ([{**REDIS, "config": {"key": "b"}}], {}, {},
         "metrics[0].config.key: stands beside this config too: leave one out"),
        ([REDIS], {}, {"ruleType": "Queue"},
         "ruleType: means nothing beside metrics: write it into one of its entries, or leave it out"),
        ([REDIS], {}, {"metricType": "Redis"},
         "metricType: means nothing beside metrics: write it into one of its entries, or leave it out"),
        ([REDIS], {"sources": [{"key": "a"}]}, {},
         "config.sources: are added up under one target, and metrics have a target each: write sources "
         "into one of the entries of metrics"),
        ([{**REDIS, "activation": -1}], {}, {},
         "metrics[0].activation: expected a whole number, 0 or more, got -1"),
        ([REDIS] * 33, {}, {}, "metrics: has 33 entries, 32 are the most"),
        ([{**REDIS, "sources": [{"key": 5}]}], {}, {}, "metrics[0].sources[0].key: expected text, got 5"),
    ],
)  # fmt: skip
def test_mistakes(metrics: Any, config: dict[str, Any], more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        apps_from_parsed(app(metrics, config, **more))
    assert f"apps[0].{problem}" in refused.value.problems


def test_an_unknown_key_in_yaml_and_in_json() -> None:
    data = app([{**REDIS, "targetPerContianer": 7}])
    with pytest.raises(ConfigError, match=r"metrics.0..targetPerContianer: is not known; did you mean"):
        apps_from_parsed(data, strict=True)
    warnings: list[str] = []
    apps_from_parsed(data, warn=warnings.append)
    hint = "did you mean targetPerContainer?"
    assert warnings == [f"apps[0].metrics[0].targetPerContianer: is not known here, and ignored; {hint}"]


def test_a_target_length_that_is_too_small_is_said() -> None:
    small = {**REDIS, "ruleType": "Queue", "targetQueueLength": 3}
    del small["targetPerContainer"]
    task = read([small, NSQ])
    assert isinstance(task.target.rules[0], QueueLengthTarget)
    (hint,) = hints([task], 4)
    assert hint.startswith("targetQueueLength: a: 3 is too small for Queue")


def test_a_url_behind_the_wrong_key_gives_no_password_away() -> None:
    with pytest.raises(ConfigError) as refused:
        apps_from_parsed(app([{**REDIS, "activation": "redis://:hunter22@r/0"}]))
    (problem,) = refused.value.problems
    assert "hunter22" not in problem
    assert problem.startswith("apps[0].metrics[0].activation: expected a whole number, got ")


def test_a_reload_sees_what_has_changed() -> None:
    """Metrics and rules are kept, with what they know, while what they are made of is the same."""
    before = read([REDIS, NSQ], {"activation": 2})
    assert read([REDIS, NSQ], {"activation": 2, "image": "other"}).measures == before.measures
    for after in (
        read([{**REDIS, "targetPerContainer": 6}, NSQ], {"activation": 2}),
        read([REDIS], {"activation": 2}),
        read([REDIS, NSQ], {"activation": 3}),
        read([REDIS, NSQ], {"activation": 2, "intervalSeconds": 3}),
    ):
        assert after.measures != before.measures
        assert after.decides != before.decides
