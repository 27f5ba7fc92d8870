"""Several sources of one task: what a configuration may say, and what it is told."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.api.schema.json_schema import json_schema
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.metric.base import Metric
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.redis import RedisMetric

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")

REDIS = {"metricType": "Redis", "url": "redis://r/0"}


def app(config: dict[str, Any], **more: Any) -> dict[str, Any]:
    whole = {"image": "a", "targetQueueLength": 20, **config}
    one = {"name": "a", "maxContainers": 4, "ruleType": "Queue", "priority": 1, "config": whole, **more}
    return {"maxContainers": 4, "apps": [one]}


def read(config: dict[str, Any], **more: Any) -> Task:
    """The task; there must be no warning."""
    warnings: list[str] = []
    task = apps_from_parsed(app(config, **more), warn=warnings.append, strict=True)[0][0]
    assert warnings == []
    return task


def keys(metric: Metric) -> list[object]:
    return [source.key for source in metric.sources]


def fits(config: dict[str, Any], **more: Any) -> bool:
    return not list(jsonschema.Draft202012Validator(json_schema()).iter_errors(app(config, **more)))


def test_each_source_with_all_that_it_needs() -> None:
    sources = [{**REDIS, "key": "mails"}, {"metricType": "NSQ", "topicName": "t", "channelName": "c"}]
    metric = read({"sources": sources}).metric
    assert [type(term) for term in metric.terms] == [RedisMetric, NSQMetric]
    assert fits({"sources": sources})


def test_what_all_share_is_said_once() -> None:
    shared = {"url": "redis://r/0", "timeoutSeconds": 0.5, "intervalSeconds": 3}
    sources = [{"key": "a"}, {"key": "b", "url": "redis://other/0"}, {"key": "c", "intervalSeconds": 9}]
    metric = read({**shared, "sources": sources}, metricType="Redis").metric
    assert keys(metric) == [
        (("redis", f"redis://{host}/0", ("LLEN", key)), 0.5)
        for host, key in (("r", "a"), ("other", "b"), ("r", "c"))
    ]
    assert [term.interval_s for term in metric.terms] == [3, 3, 9]
    assert metric.interval_s == 9
    assert fits({**shared, "sources": sources}, metricType="Redis")


def test_any_case_in_yaml() -> None:
    assert isinstance(
        read({"sources": [{**REDIS, "metricType": "redis", "key": "a"}]}).metric.terms[0], RedisMetric
    )


def test_variables_are_filled_in_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "hunter22")
    url = "redis://:${REDIS_PASSWORD}@r/0"
    metric = read(
        {"sources": [{"key": "a", "url": url}, {"key": "b", "url": url}]}, metricType="Redis"
    ).metric
    assert keys(metric)[0] == ("redis", "redis://:hunter22@r/0", ("LLEN", "a"))
    assert all("hunter22" in source.secrets for source in metric.sources)


@pytest.mark.parametrize(
    ("config", "more", "problem"),
    [
        ({"sources": []}, {}, "apps[0].config.sources: is empty: leave it out, or name a queue"),
        (
            {"sources": "a"},
            {},
            'apps[0].config.sources: expected a list, whose entries begin with -, got "a"',
        ),
        ({"sources": ["a"]}, {}, 'apps[0].config.sources[0]: expected an object, got "a"'),
        (
            {"sources": [{"key": "a"}], "url": "redis://r"},
            {},
            "apps[0].metricType: is missing: expected AzureQueue, Exporter, HTTP, NSQ, Redis, SQL or SQS",
        ),
        (
            {"sources": [{**REDIS, "key": "a"}, {**REDIS, "metricType": "Rediss", "key": "b"}]},
            {},
            "apps[0].config.sources[1].metricType: expected AzureQueue, Exporter, HTTP, NSQ, Redis, SQL or "
            'SQS, got "Rediss"',
        ),
        (
            {"sources": [{**REDIS, "key": "a"}, REDIS]},
            {},
            "apps[0].config.sources[1].key: is missing: metricType Redis needs it",
        ),
        # A shared key has one place, however many sources read it.
        (
            {"sources": [{"key": "a"}, {"key": "b"}], "url": "http://r"},
            {"metricType": "Redis"},
            "apps[0].config.url: expected redis://host:6379/0",
        ),
        (
            {"sources": [{**REDIS, "key": "a", "kindd": "list"}]},
            {},
            "apps[0].config.sources[0].kindd: is not known; did you mean kind?",
        ),
        (
            {"sources": [{**REDIS, "key": "a", "sources": []}]},
            {},
            "apps[0].config.sources[0].sources: is not known; a name that begins with x- is ignored",
        ),
        (
            {"sources": [{**REDIS, "key": "a", "timeoutSeconds": 0}]},
            {},
            "apps[0].config.sources[0].timeoutSeconds: expected a number of seconds above 0, got 0",
        ),
    ],
)
def test_mistakes_have_their_place(config: dict[str, Any], more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        apps_from_parsed(app(config, **more), warn=lambda warning: None, strict=True)
    assert [found[: len(problem)] for found in refused.value.problems] == [problem]


@pytest.mark.parametrize(
    "sources", [[], "a", ["a"], [{**REDIS, "kindd": "list"}], [{**REDIS, "sources": []}]], ids=str
)
def test_an_editor_finds_them_too(sources: Any) -> None:
    assert not fits({"sources": sources})


def test_a_rule_that_measures_nothing_has_no_sources() -> None:
    with pytest.raises(ConfigError, match=r"config.sources: is not known"):
        read({"sources": [{**REDIS, "key": "a"}]}, ruleType="Remainder")
