"""The JSON Schema for editors takes what the parser takes without a warning, and finds common mistakes."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from microscaling.api.apps import apps_from_parsed
from microscaling.api.schema.declared import CONFIG
from microscaling.api.schema.json_schema import json_schema
from microscaling.metric.base import METRICS
from microscaling.plugins import Field
from microscaling.server.domain.user_config import DEMO
from microscaling.target.base import RULES
from scripts.demo.processes import Processes
from scripts.demo.tasks import configuration
from tests.api.test_words import FORMS, REFUSALS
from tests.fuzz.test_apps import APPS
from tests.pages import ROOT, blocks
from tests.server.running import PLAN

VALUES = {
    "whole": 7,
    "number": 0.5,
    "flag": True,
    "headers": {"A": "b"},
    "params": {"a": ["b", 1]},
    "body": {"a": 1},
}
"""Of these kinds; of the others, text will do."""
SCHEMA = json_schema()


def examples() -> Iterator[Any]:
    """Every configuration that a page or a manifest shows, and those of demo, server and tests."""
    for block in blocks("yaml", "json"):
        if re.search(r'^(apps:|  "apps":)', block.text, re.MULTILINE):
            yield pytest.param(yaml.safe_load(block.text), id=str(block))
    for path in sorted((ROOT / "examples").glob("*/*.yaml")):
        yield pytest.param(yaml.safe_load(path.read_text("utf-8")), id=path.name)
    for found in yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text("utf-8")):
        if found["kind"] == "ConfigMap":
            yield pytest.param(yaml.safe_load(found["data"]["tasks.yaml"]), id="kubernetes.yaml")
    yield pytest.param(DEMO, id="a new server")
    demo = Processes("no engine", "/tmp/jobs.db", "/tmp", 0.1)
    yield pytest.param(json.loads(configuration(demo, "/tmp/jobs.db")), id="demo")
    yield pytest.param(PLAN, id="tests of the server")
    for i, app in enumerate(APPS):
        yield pytest.param(app, id=f"fuzz-{i}")


def errors(data: Any) -> list[str]:
    """Where it does not fit the schema, and by which keyword."""
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(data)
    return sorted(f"{error.json_path} {error.validator}" for error in found)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_it_is_printed() -> None:
    done = subprocess.run([sys.executable, "-m", "microscaling", "schema"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == SCHEMA


@pytest.mark.parametrize("data", list(examples()))
def test_examples_fit(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whichever variables an example refers to are set where it is used.
    for name in re.findall(r"\$\{(\w+)\}", json.dumps(data)):
        monkeypatch.setenv(name, "x")
    warnings: list[str] = []
    apps_from_parsed(copy.deepcopy(data), warn=warnings.append)
    assert errors(data) == [], warnings


def test_examples_are_found() -> None:
    names = [str(example.id) for example in examples()]
    for page in (
        "README.md",
        "configuration.md",
        "failures.md",
        "quickstart.md",
        "schedulers.md",
        "celery.md",
        "http.md",
        "redis.md",
    ):
        assert any(name.startswith(f"{page}-") for name in names), page
    assert {"kubernetes.yaml", "tasks.yaml", "containers.yaml"} <= {*names}


def value_of(field: Field) -> Any:
    value = field.choices[0] if field.choices else VALUES.get(field.kind, "text")
    return max(value, field.least) if field.least is not None else value


def chosen() -> Iterator[Any]:
    for rule in RULES.all():
        for kind in METRICS.all() if rule.measures else [None]:
            fields = (*rule.fields, *(kind.fields if kind else ()))
            yield pytest.param(rule.type_name, kind.type_name if kind else "", fields)


@pytest.mark.parametrize(("rule", "kind", "fields"), list(chosen()))
def test_each_rule_and_metric(rule: str, kind: str, fields: tuple[Field, ...]) -> None:
    """All their fields fit, and each that is needed is missed."""
    config = {field.key: value_of(field) for field in fields}
    app = {"name": "a", "ruleType": rule, "metricType": kind, "config": config}
    assert errors({"apps": [app]}) == []
    for field in fields:
        rest = {key: value for key, value in config.items() if key != field.key}
        needed = field.required or field.expected
        assert errors({"apps": [{**app, "config": rest}]}) == ["$.apps[0].config required"] * needed
        wrong = 1 if field.kind == "body" else [1]  # JSON of any other kind can be sent
        assert errors({"apps": [{**app, "config": {**config, field.key: wrong}}]}) != []


QUEUE = {"name": "a", "ruleType": "SimpleQueue", "metricType": "NSQ"}
BOTH = {"topicName": "t", "channelName": "c"}
BAD = {
    "cap": ({"maxContainers": "10"}, "$.maxContainers type"),
    "negative cap": ({"maxContainers": -1}, "$.maxContainers minimum"),
    "unknown at the top": ({"app": []}, "$ additionalProperties"),
    "apps": ({"apps": {}}, "$.apps type"),
    "no name": ({"apps": [{}]}, "$.apps[0] required"),
    "empty name": ({"apps": [{"name": " "}]}, "$.apps[0].name pattern"),
    "unknown in an app": ({"apps": [{"name": "a", "minContainer": 1}]}, "$.apps[0] additionalProperties"),
    "rule": ({"apps": [{"name": "a", "ruleType": "queue"}]}, "$.apps[0].ruleType enum"),
    "no metric": ({"apps": [{"name": "a", "ruleType": "SimpleQueue"}]}, "$.apps[0] required"),
    "metric": ({"apps": [{**QUEUE, "metricType": "Carrier pigeons"}]}, "$.apps[0].metricType enum"),
    "no config": ({"apps": [QUEUE]}, "$.apps[0] required"),
    "no channel": ({"apps": [{**QUEUE, "config": {"topicName": "t"}}]}, "$.apps[0].config required"),
    "fallback": ({"apps": [{"name": "a", "fallback": {"containers": 1}}]}, "$.apps[0].fallback required"),
}
BAD_CONFIG: dict[str, Any] = {
    "imagee": "x",
    "command": [{}],
    "targetQueueLength": -1,
    "idleSeconds": "soon",
    "intervalSeconds": 3601,
    "timeoutSeconds": 0,
    "atLeast": 0.5,
    "missing": "maybe",
    "env": {"A=B": "c"},
    "networkMode": "bridge2",
    "networks": [""],
    "publishAllPorts": "yes",
    "ports": ["80:90:100:110"],
    "volumes": [{"type": "bind", "source": "/etc"}],
    "memory": "64mm",
    "cpus": 5000,
    "labels": {"com.microscaling.nonce": "1"},
    "stopGraceSeconds": -1,
}


@pytest.mark.parametrize(("data", "error"), BAD.values(), ids=BAD)
def test_mistakes(data: Any, error: str) -> None:
    assert errors(data) == [error]


@pytest.mark.parametrize("key", BAD_CONFIG)
def test_mistakes_in_config(key: str) -> None:
    app = {**QUEUE, "config": {**BOTH, key: BAD_CONFIG[key]}}
    (error,) = errors({"apps": [app]})
    assert error.startswith("$.apps[0].config")


@pytest.mark.parametrize("config", [config for config, _, _ in FORMS])
def test_words_of_compose(config: dict[str, Any]) -> None:
    """Their forms fit, and so does a variable in place of each value that may refer to one."""
    assert errors({"apps": [{"name": "a", "config": config}]}) == []
    (key,) = (key for key in CONFIG for spelling in key.spellings if spelling in config)
    if key.refers:
        assert errors({"apps": [{"name": "a", "config": {key.key: "${NAME}"}}]}) == []


IN_RELATION = (
    *(
        "deploy.resources.limits.cpus",
        "deploy.resources.reservations.devices: apps",
        "environment",
        "ulimits.nofile: soft",
        "entrypoint: cannot be split",
    ),
    *(
        "gpus[0].count",
        "sysctls: the",
        "hostname: is",
        "secrets[0]: there",
        "env_file: ",
        "image: the variable",
    ),
    *("cpuset: ", "memswap_limit: ", "mem_reservation: ", "deploy: ", "networks: a container"),
    *(
        "security_opt[0]: is what",
        "security_opt[0]: the seccomp",
        "dns: ",
        "stop_grace_period: expected at most",
        "healthcheck.test",
    ),
)
"""Problems in the relation of values, to the outside, or in the finer form of a text."""


@pytest.mark.parametrize(("config", "line"), REFUSALS)
def test_refusals_of_words(config: dict[str, Any], line: str) -> None:
    found = errors({"apps": [{"name": "a", "config": config}], "secrets": {"token": {"file": "/t"}}})
    assert bool(found) != line.startswith(IN_RELATION)


def test_keys_that_begin_with_x_are_left_alone() -> None:
    app = {**QUEUE, "x-note": 1, "config": {**BOTH, "x-note": {"a": 1}}}
    assert errors({"x-anchors": [], "apps": [app]}) == []
