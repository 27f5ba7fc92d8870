"""A user's configuration, checked by the rules of MSS_CONFIG=FILE, and kept as it was written."""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import dataclass
from typing import Any

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS
from microscaling.metric.push import PushMetric
from microscaling.metric.toy import ToyMetric
from microscaling.secrets.references import REFERENCE
from microscaling.server.limits import MAX_APPS, MAX_NAME
from microscaling.settings import Settings
from microscaling.utils.strict_json import Object, parse
from microscaling.utils.text import clean

DEEPEST = 20
DEMO: dict[str, Any] = {
    "maxContainers": 10,
    "apps": [
        {
            "name": f"priority-{priority}",
            "priority": priority,
            "minContainers": 1,
            "maxContainers": 9,
            "ruleType": "Remainder",
            "config": {"image": f"microscaling/priority-{priority}:latest"},
        }
        for priority in (1, 2)
    ],
}
"""The configuration of a new server: the two tasks of the original demonstration."""


@dataclass(frozen=True)
class Plan:
    """A valid configuration: its text and the tasks in it."""

    text: str
    """The configuration as it was written, in JSON."""
    cap: int
    """Containers that all tasks of one agent share."""
    models: tuple[Task, ...]
    """The tasks, most important first; not to be changed."""
    warnings: tuple[str, ...]
    rules: tuple[str, ...] = ()
    """The rule of each app, in their order."""
    not_as_yaml: tuple[str, ...] = ()
    """Problems for which MSS_CONFIG=FILE, which is stricter with YAML, would refuse it as a YAML file."""

    @property
    def for_yaml(self) -> dict[str, Any]:
        """A copy of the configuration for a YAML file, in which a text such as "queue" would name a rule that
        it does not name in JSON."""
        data = self.data
        lists = [value for key, value in data.items() if key.casefold() == "apps" and value]
        for app, rule in zip(lists[-1] if lists else (), self.rules, strict=True):
            for key in [key for key, value in app.items() if key.casefold() == "ruletype" and value]:
                app[key] = rule
        return data

    @property
    def data(self) -> dict[str, Any]:
        """A copy of the configuration, as it was written."""
        copied: dict[str, Any] = json.loads(self.text)
        return copied

    def tasks(self) -> Tasks:
        """Returns a fresh copy of the tasks, for the calculation of demand."""
        return Tasks([copy.deepcopy(model) for model in self.models], self.cap)


def read_plan(data: Any, settings: Settings) -> Plan:
    """Checks parsed data. Raises ConfigError with all problems."""
    if data is None:
        raise ConfigError("expected an object with maxContainers and apps, got null")
    try:
        text = clean(json.dumps(data, ensure_ascii=False, allow_nan=False))
    except (ValueError, RecursionError):
        raise ConfigError("cannot be written as JSON") from None
    warnings: list[str] = []
    # The text is parsed again, so that the checked data are those that agents will get.
    checked = _without_references(parse(text.encode()))
    tasks, cap = apps_from_parsed(checked, settings, warnings.append, elsewhere=True)
    if len(tasks) > MAX_APPS:
        raise ConfigError(f"apps: {len(tasks)} are too many, {MAX_APPS} are the most")
    long = [f"apps[{i}].name" for i, task in enumerate(tasks) if len(task.name) > MAX_NAME]
    if long:
        raise ConfigError(*(f"{place}: is longer than {MAX_NAME} characters" for place in long))
    refused = _not_as_yaml(checked, settings)
    if refused:
        more = f" and {len(refused) - 1} more" * (len(refused) > 1)
        warnings.append(f"as a YAML file it would be refused: {refused[0]}{more}")
    rules = tuple(task.target.type_name for task in tasks)
    for task in tasks:
        if not isinstance(task.metric, PushMetric):
            task.metric = ToyMetric()  # its readings come from agents
    return Plan(
        text, cap, tuple(sorted(tasks, key=lambda task: task.priority)), tuple(warnings), rules, refused
    )


def _not_as_yaml(data: Any, settings: Settings) -> tuple[str, ...]:
    """Returns the problems of the data for the reader of YAML files."""
    try:
        apps_from_parsed(data, settings, lambda warning: None, strict=True, elsewhere=True)
    except ConfigError as error:
        return error.problems
    return ()


def _without_references(value: Any, inside: bool = False, depth: int = 0) -> Any:
    """Returns the data with "1" in place of each ${NAME} in URLs and headers."""
    # They stand for variables of the agent. The check must not fill in those of this process: they may
    # have secrets in them.
    if depth > DEEPEST:
        raise ConfigError(f"is nested more than {DEEPEST} deep, which no configuration needs")
    if isinstance(value, str):
        return REFERENCE.sub("1", value) if inside else value
    if isinstance(value, list):
        return [_without_references(entry, inside, depth + 1) for entry in value]
    if not isinstance(value, dict):
        return value
    made = Object()
    for key, entry in value.items():
        made[key] = _without_references(entry, inside or key.casefold() in _may_refer(), depth + 1)
    made.repeated = getattr(value, "repeated", ())
    return made


@functools.cache
def _may_refer() -> frozenset[str]:
    """Returns the keys of all metrics in which variables are filled in."""
    return frozenset(f.key.casefold() for metric in METRICS.all() for f in metric.fields if f.fills_in)


def target_of(task: Task) -> int | None:
    """Returns the target length (items) of a task's queue; None if its rule has none."""
    return getattr(task.target, "length", None)
