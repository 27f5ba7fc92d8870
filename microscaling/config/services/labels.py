"""Reads the labels of one service into the description of a task, as a configuration file has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microscaling.clients.docker.copied_files import copied_files, is_copy_files
from microscaling.clients.docker.on_change_labels import is_on_change, labels_of
from microscaling.clients.docker.swarm import DURING_UPDATE, HOLD, SCALE, is_own
from microscaling.clients.docker.swarm import folded as swarm_folded
from microscaling.config.services.names import ENABLE, OF_CONTAINERS, PREFIX, TARGET, Names, folded
from microscaling.errors import ConfigError
from microscaling.metric.base import METRICS
from microscaling.plugins import Field, Group, P
from microscaling.target.base import RULES
from microscaling.target.remainder import RemainderTarget
from microscaling.utils.strict_json import parse
from microscaling.utils.text import quoted, short
from microscaling.utils.values import NO, YES

WHOLE = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass
class Labelled:
    """The description of a task, and the labels that it is from."""

    app: dict[str, Any]
    names: Names
    labels: dict[tuple[str, ...], str] = field(default_factory=dict)
    """By place in the description, the label with the value."""
    problems: list[str] = field(default_factory=list)
    has_rule: bool = True
    """The rule that the labels name exists, or they name none."""

    def label_of(self, path: tuple[str, ...]) -> str:
        """Returns the label for a place: as the person wrote it, or as it would be written."""
        for n in range(len(path), 0, -1):
            if path[:n] in self.labels:
                return self.labels[path[:n]]
        return PREFIX + self.names.name_of(path)


def is_enabled(labels: Mapping[str, str]) -> bool:
    """True if the labels ask for the service to be scaled. Raises ConfigError for a value that is neither
    true nor false."""
    for label, value in labels.items():
        if folded(label) == PREFIX + ENABLE:
            try:
                return _flag(value)
            except ValueError as error:
                raise ConfigError(f"{short(label)}: {error}") from None
    return False


def read_labels(labels: Mapping[str, str]) -> Labelled:
    """Returns the description of the task in these labels, with every problem in it."""
    # Sorted, so that errors come in the same order each time.
    ours = {label: labels[label] for label in sorted(labels) if label.casefold().startswith(PREFIX)}
    by_name = {folded(label[len(PREFIX) :]): value.strip() for label, value in ours.items()}
    rule = _find(RULES, by_name.get("rule") or by_name.get("ruletype") or RemainderTarget.type_name)
    metric = _find(METRICS, by_name.get("metric") or by_name.get("metrictype") or "")
    names = Names(rule.fields if rule else (), metric.fields if metric else ())
    found = Labelled({}, names, has_rule=rule is not None)
    for label, value in ours.items():
        name = label[len(PREFIX) :]
        if is_copy_files(label):  # no key of a task: it is for the scheduler
            _check_files(found, label, value)
        elif is_on_change(label):
            _check_on_change(found, label, value)
        elif is_own(label):
            _check_own(found, label, value)
        elif folded(name) != ENABLE:
            _read(found, label, name, value)
    return found


def _check_files(found: Labelled, label: str, value: str) -> None:
    try:
        copied_files({label: value})
    except ValueError as error:
        found.problems.append(f"{short(label)}: {error}, got {quoted(value)}")


def _check_on_change(found: Labelled, label: str, value: str) -> None:
    try:
        labels_of({label: value})
    except ValueError as error:
        found.problems.append(str(error))


def _check_own(found: Labelled, label: str, value: str) -> None:
    """Checks a label of a Swarm's service that is no key of a task."""
    known = (SCALE, HOLD) if swarm_folded(label) == swarm_folded(DURING_UPDATE) else YES + NO
    if value.strip().lower() not in known:
        expected = " or ".join(known if SCALE in known else ("true", "false"))
        found.problems.append(f"{short(label)}: expected {expected}, got {quoted(value)}")


def _find(group: Group[P], name: str) -> P | None:
    """Returns a plugin; None if there is none that can be loaded, which the parser notes at its label."""
    try:
        return group.find(name, any_case=True) if name else None
    except ConfigError:
        return None


def _read(found: Labelled, label: str, name: str, value: str) -> None:
    """Reads one label, given with and without its prefix."""
    place = found.names.find(name)
    if place is None:
        found.labels[(name,)] = label
        if folded(name) != TARGET or found.has_rule:  # of an unknown rule the parser says so
            found.problems.append(f"{short(label)}: {_unknown(found.names, name)}")
        return
    other = found.labels.get(place.path)
    if other is not None:
        found.problems.append(f"{short(label)}: {short(other)} means the same: leave one out")
        return
    found.labels[place.path] = label
    try:
        meant = value_of(place.field, value)
    except ValueError as error:
        found.problems.append(f"{short(label)}: {error}")
        return
    inside: Any = found.app
    for key in place.path[:-1]:
        inside = inside.setdefault(key, {})
        if not isinstance(inside, dict):
            found.problems.append(f"{short(label)}: the label for {short(key)} has no object: leave one out")
            return
    inside[place.path[-1]] = meant


def _unknown(names: Names, name: str) -> str:
    if folded(name) == TARGET:
        return "the rule of this service has no number of its own: leave it out, or name a rule"
    if folded(name.partition(".")[0]) in {folded(key) for key in OF_CONTAINERS}:
        return "is no label: the service itself has it, in the Compose file"
    other = names.nearest(name)
    if not other:
        return "is not known: docs/compose.md lists the labels"
    return f"is not known; did you mean {PREFIX}{other}?"


def value_of(field: Field, text: str) -> Any:
    """Returns the value that a label's text stands for. Raises ValueError with the expected form.

    Lists and maps are JSON in one label. The parser of configurations checks all else."""
    value = text.strip()
    if field.kind in ("shape", "headers", "params") or (field.kind == "body" and value[:1] in ("{", "[")):
        if value[:1] in ("{", "["):
            return _json(value)
        if field.kind != "shape":
            raise ValueError(
                f'expected an object in JSON, such as {{"name": "value"}}, got {_got(field, text)}'
            )
        return text
    if field.kind == "whole":
        if not WHOLE.fullmatch(value):
            raise ValueError(f"expected a whole number, got {_got(field, text)}")
        return int(value)
    if field.kind == "flag":
        return _flag(text)
    return text if field.kind == "body" else value


def _json(text: str) -> Any:
    try:
        return parse(text.encode("utf-8", "surrogateescape"))
    except ConfigError as error:
        raise ValueError(f"is no JSON: {error.problems[0]}") from None


def _flag(text: str) -> bool:
    # Compose writes an unquoted true as "True", YAML 1.1 as it reads it.
    value = text.strip().lower()
    if value not in YES + NO:
        raise ValueError(f"expected true or false, got {quoted(text)}")
    return value in YES


def _got(field: Field, text: str) -> str:
    return "a value that is not shown" if field.secret else quoted(text)
