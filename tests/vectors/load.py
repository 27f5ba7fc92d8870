"""Reads the vectors, and makes the objects that they speak of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microscaling.demand.task import Task
from microscaling.metric.toy import ToyMetric
from microscaling.settings import Settings
from microscaling.target.base import Target
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget

HERE = Path(__file__).parent


def cases(name: str) -> list[dict[str, Any]]:
    return json.loads((HERE / f"{name}.json").read_text())  # type: ignore[no-any-return]


def target(spec: Mapping[str, Any], env: Mapping[str, str]) -> Target:
    """The target of a `kind` and a `param`, under these variables."""
    if spec["kind"] == "Queue":
        return QueueLengthTarget(spec["param"], Settings.from_env(env))
    return {"SimpleQueue": SimpleQueueLengthTarget, "Remainder": RemainderTarget}[spec["kind"]](spec["param"])


def task(spec: Mapping[str, Any], env: Mapping[str, str]) -> Task:
    """A task whose metric is whatever the case sets it to."""
    fields = {name: spec[name] for name in {*Task.__slots__} & {*spec} - {"metric", "target"}}
    metric = ToyMetric(spec.get("metric", 0))
    return Task(**{"name": "task", **fields}, target=target(spec["target"], env), metric=metric)
