"""The keys that are declared are those that the parser reads, and no others."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.api.schema import (
    busy,
    container,
    declared,
    metric,
    policies,
    sameness,
    warming,
    web,
    yielding,
)
from microscaling.api.schema.section import Section
from microscaling.api.schema.sources import SOURCES
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS
from microscaling.plugins import Field
from microscaling.target.base import LENGTH, RULES

CHOSEN = [
    pytest.param(rule, kind, id=f"{rule.type_name}-{kind.type_name if kind else 'none'}")
    for rule in RULES.all()
    for kind in (METRICS.all() if rule.measures else [None])
]
OF_CONTAINER = [container.IMAGE, container.COMMAND, *container.KEYS]


def keys(*fields: Field) -> set[str]:
    return {field.key.casefold() for field in fields}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Place -> the keys that the parser asks for there."""
    asked: dict[str, set[str]] = {}
    take = Section.take

    def recorded(section: Section, key: str) -> Any:
        asked.setdefault(section.place, set()).add(key.casefold())
        return take(section, key)

    monkeypatch.setattr(Section, "take", recorded)
    return asked


@pytest.mark.parametrize(("rule", "kind"), CHOSEN)
def test_the_parser_reads_what_is_declared(rule: Any, kind: Any, taken: dict[str, set[str]]) -> None:
    """Whatever rule and metric are chosen: these keys, and no others."""
    config = {field.key: "http://example" for field in kind.fields if field.required} if kind else {}
    app = {"name": "a", "maxContainers": 1, "ruleType": rule.type_name, "config": config}
    app["metricType"] = kind.type_name if kind else ""
    try:
        apps_from_parsed({"maxContainers": 1, "apps": [app]}, warn=lambda warning: None)
    except ConfigError:
        pass  # a made-up value; the keys have been asked for all the same
    assert taken["apps[0]"] - keys(*declared.APP, *declared.IGNORED) == set()
    assert keys(*declared.APP, *declared.IGNORED) - taken["apps[0]"] == set()
    expected = keys(*busy.KEYS, *web.KEYS, *yielding.KEYS, *warming.KEYS)
    expected |= keys(*OF_CONTAINER, policies.IDLE, policies.UPDATE, policies.STUCK, LENGTH, *rule.fields)
    expected |= keys(policies.ACTIVATION)
    expected |= {key.casefold() for key in metric.OF_ANY}
    if kind:
        expected |= keys(metric.COUNT, *metric.KEYS, SOURCES, *kind.fields)
        expected |= keys(metric.MISSING) if kind.may_be_missing else set()
    assert taken["apps[0].config"] == expected


def test_what_belongs_to_no_plugin_is_declared_once() -> None:
    for declarations in (declared.APP, declared.CONFIG):
        assert len(keys(*declarations)) == len(declarations)
    of_policies = (policies.IDLE, policies.UPDATE, policies.STUCK, policies.ACTIVATION, metric.COUNT)
    of_policies += busy.KEYS + web.KEYS + yielding.KEYS + warming.KEYS
    assert keys(*declared.CONFIG) == keys(*OF_CONTAINER, *of_policies, *metric.KEYS, metric.MISSING, SOURCES)
    of_plugins = {key for kind in (*RULES.all(), *METRICS.all()) for key in keys(*kind.fields)}
    assert keys(*declared.CONFIG) & of_plugins == set()


def test_keys_that_the_go_agent_knew_everywhere_are_of_a_metric() -> None:
    of_metrics = set(itertools.chain.from_iterable(keys(*kind.fields) for kind in METRICS.all()))
    assert {key.casefold() for key in metric.OF_ANY} <= of_metrics


def test_as_data() -> None:
    data = json.loads(json.dumps(declared.declared(), allow_nan=False))
    assert [rule["typeName"] for rule in data["rules"]] == RULES.names()
    assert [kind["typeName"] for kind in data["metrics"]] == METRICS.names()
    (per_container,) = (rule for rule in data["rules"] if rule["typeName"] == "PerContainer")
    assert per_container == {
        "typeName": "PerContainer",
        "summary": "one container for so many items",
        "measures": True,
        "fields": [
            {
                "key": "targetPerContainer",
                "label": "Items for each container",
                "kind": "whole",
                "default": None,
                "required": True,
                "expected": False,
                "secret": False,
                "hint": "",
                "wide": False,
                "choices": [],
                "least": 1,
                "most": None,
            }
        ],
    }
    (missing,) = (key for key in data["config"] if key["key"] == "missing")
    assert missing["choices"] == ["empty", "held"]
    assert missing["meaning"].startswith("a queue that does not exist")
    assert missing["inForm"] is False


def test_a_reload_compares_every_key_of_config() -> None:
    """A key in neither list would change nothing in an agent that reads its configuration again."""
    measuring = (metric.COUNT, *metric.KEYS, metric.MISSING, SOURCES)
    assert {key.key for key in sameness.OTHERS} == {key.key for key in declared.CONFIG} - {
        key.key for key in measuring
    }
