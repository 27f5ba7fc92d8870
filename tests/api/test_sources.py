"""Several sources of one task: what a configuration may say, and what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.api.schema.json_schema import json_schema
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS, Metric
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.redis import RedisMetric
from microscaling.target.base import RULES
from microscaling.utils.text import alternatives

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")

METRIC_TYPES = alternatives(METRICS.names())
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
        (
            {"sources": ["a"]},
            {},
            'apps[0].config.sources[0]: expected an object such as {key: jobs}, got "a"',
        ),
        (
            {"sources": [{"url": "redis://h", "key": ["a", "b"]}]},
            {"metricType": "Redis"},
            "apps[0].config.sources[0].key: expected text, got a list: several are sources: [{key: A}, ",
        ),
        (
            {"url": "redis://h", "key": "a"},
            {"metricType": "Redis", "ruleType": ""},
            f"apps[0].ruleType: is missing: expected {alternatives(RULES.names())}",
        ),
        (
            {"sources": [{"key": "a"}], "url": "redis://r"},
            {},
            f"apps[0].metricType: is missing: expected {METRIC_TYPES}",
        ),
        (
            {"sources": [{**REDIS, "key": "a"}, {**REDIS, "metricType": "Rediss", "key": "b"}]},
            {},
            f'apps[0].config.sources[1].metricType: expected {METRIC_TYPES}, got "Rediss"',
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
            {"sources": [{**REDIS, "key": "a", "targetQueueLength": 5}]},
            {},
            "apps[0].config.sources[0].targetQueueLength: is not known",
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


def warnings_of(config: dict[str, Any], **more: Any) -> list[str]:
    warnings: list[str] = []
    apps_from_parsed(app(config, **more), warn=warnings.append, strict=True)
    return warnings


def test_a_rule_that_measures_nothing_reads_no_sources() -> None:
    said = warnings_of({"sources": [{**REDIS, "key": "a"}]}, ruleType="Remainder")
    assert "apps[0].config.sources: is not known here, and ignored" in said


def test_one_queue_twice_is_warned_of() -> None:
    source = {**REDIS, "key": "a"}
    assert warnings_of({"sources": [source, {**REDIS, "key": "b"}, dict(reversed(source.items()))]}) == [
        "apps[0].config.sources[2]: is there already: its items count twice"
    ]


def test_a_key_twice_in_a_source_is_said() -> None:
    with pytest.raises(ConfigError, match=r"sources\[0\].Key: is there more than once: remove one"):
        read({"sources": [{**REDIS, "key": "a", "Key": "b"}]})


def test_a_shared_variable_is_filled_in_whatever_the_type_of_the_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PW", "hunter22")
    config = {"url": "redis://:${PW}@h:6379", "sources": [{"metricType": "Redis", "key": "a"}]}
    assert warnings_of(config) == []


def test_a_lower_bound_is_one_of_the_sum() -> None:
    metric = read(
        {"atLeast": 3, "sources": [{**REDIS, "key": "a"}, {**REDIS, "key": "b", "atLeast": 2}]}
    ).metric
    assert (metric.at_least, [term.at_least for term in metric.terms]) == (3, [0, 2])


@pytest.mark.parametrize(
    "config",
    [
        {"url": "http://h/${OF_FILE}/x"},
        {"url": "http://h", "body": "a=${OF_FILE}"},
        {"url": "http://h", "body": {"a": ["${OF_FILE}"]}},
        {"url": "http://h", "params": {"a": "${OF_FILE}"}},
        {"url": "http://h", "headers": {"A": "${OF_FILE}"}},
    ],
    ids=str,
)
def test_what_came_from_a_file_is_masked_from_now_on(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("hunter22-of-a-file\n")
    monkeypatch.setenv("OF_FILE_FILE", str(tmp_path / "secret"))
    kept: list[str] = []
    monkeypatch.setattr("microscaling.api.schema.variables.keep_secret", kept.extend)
    read(config, metricType="HTTP")
    assert "hunter22-of-a-file" in kept


def test_a_dollar_may_be_meant_literally(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "hunter22")
    metric = read(
        {"url": "http://h/?q=$${PW}", "body": "$${PW}${PW}", "headers": {"A": "$${PW}"}}, metricType="HTTP"
    ).metric
    assert "q=${PW}" in str(keys(metric)[0])
    assert "'${PW}hunter22'" in str(keys(metric)[0])
    assert "('A', '${PW}')" in str(keys(metric)[0])


def test_a_value_with_a_quote_in_it_leaves_json_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", 'a"b')
    metric = read({"url": "http://h", "body": '{"password": "${PW}"}'}, metricType="HTTP").metric
    assert '{"password": "a\\\\"b"}' in str(keys(metric)[0])
