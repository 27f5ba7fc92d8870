"""What agents say and are told, over the websocket.

The Go agent's messages, as observed, and one addition: an agent that found the header `HEADER` in the
answer to its handshake may put an object "detail" beside "metrics" (docs/server.md). Everything from
outside is checked here, once; unknown keys are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microscaling.api.reader import clean
from microscaling.server.limits import MOST_APPS, MOST_COUNT, MOST_NAME, MOST_REASON, Refused

HEADER = ("microscaling-detail", "1")
MOST_METRIC = 2**53


@dataclass(slots=True)
class Told:
    """What an agent has told of one task; the second half only if it sends details."""

    running: int
    requested: int
    metric: int = 0
    demand: int | None = None
    priority: int = 0
    least: int = 0
    most: int = 0
    target: int | None = None
    held: str = ""
    fallback: str = ""
    backing_off: bool = False
    reason: str = ""


@dataclass(slots=True)
class About:
    """What an agent that sends details says of itself."""

    name: str = ""
    version: str = ""
    engine: str = ""
    cap: int = 0
    hold: str = ""


@dataclass(slots=True)
class Report:
    """One message of an agent."""

    user: str
    tasks: dict[str, Told] = field(default_factory=dict)
    about: About | None = None


def is_user(name: str) -> bool:
    """Whether it can be somebody's name: it is a part of addresses, and shown."""
    return 0 < len(name) <= MOST_NAME and name.isprintable() and "/" not in name and name not in (".", "..")


def read_report(text: str) -> Report:
    """The message in this text. Raises Refused."""
    data = _object(_parsed(text), "the message")
    user = data.get("user")
    if not isinstance(user, str) or not is_user(user):
        raise Refused("user: expected a name of at most 128 printable characters without a slash")
    metrics = _object(data.get("metrics") or {}, "metrics")
    report = Report(user)
    for entry in _entries(metrics, "metrics"):
        report.tasks[_text(entry, "app", MOST_NAME)] = Told(
            _whole(entry, "runningCount", MOST_COUNT),
            _whole(entry, "pendingCount", MOST_COUNT),
            _whole(entry, "metric", MOST_METRIC),
        )
    if data.get("detail") is not None:
        _read_detail(report, _object(data["detail"], "detail"))
    return report


def _read_detail(report: Report, data: Mapping[str, Any]) -> None:
    report.about = About(
        _text(data, "name", MOST_NAME),
        _text(data, "version", MOST_NAME),
        _text(data, "engine", MOST_NAME),
        _whole(data, "cap", MOST_COUNT),
        _text(data, "hold", MOST_REASON),
    )
    for entry in _entries(data, "detail"):
        told = report.tasks.get(_text(entry, "app", MOST_NAME))
        if told is None:
            continue
        told.demand = _whole(entry, "demand", MOST_COUNT)
        told.priority = _whole(entry, "priority", MOST_METRIC, least=-MOST_METRIC)
        told.least = _whole(entry, "min", MOST_METRIC)
        told.most = _whole(entry, "max", MOST_METRIC)
        told.target = None if entry.get("target") is None else _whole(entry, "target", MOST_METRIC)
        told.held = _text(entry, "held", MOST_REASON)
        told.fallback = _text(entry, "fallback", MOST_REASON)
        told.backing_off = entry.get("backingOff") is True
        told.reason = _text(entry, "reason", MOST_REASON)


def demand_message(demand: Mapping[str, int]) -> str:
    """The text that tells an agent how many containers each of these tasks should have."""
    tasks = [{"app": app, "demandCount": count} for app, count in demand.items()]
    return json.dumps({"demand": {"tasks": tasks}})


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_int=_int, parse_constant=_no_constant)
    except RecursionError:
        raise Refused("the message is nested too deeply") from None
    except ValueError:
        raise Refused("the message is not JSON") from None


def _int(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError
    return int(digits)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{what}: expected an object")
    return value


def _entries(data: Mapping[str, Any], what: str) -> list[Mapping[str, Any]]:
    entries = data.get("tasks") or []
    if not isinstance(entries, list) or len(entries) > MOST_APPS:
        raise Refused(f"{what}.tasks: expected a list of at most {MOST_APPS} tasks")
    return [_object(entry, f"{what}.tasks") for entry in entries]


def _text(data: Mapping[str, Any], key: str, most: int) -> str:
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused(f"{key}: expected text")
    if len(value) > most and key in ("app", "name"):
        raise Refused(f"{key}: longer than {most} characters")
    return clean(value[:most])


def _whole(data: Mapping[str, Any], key: str, most: int, least: int = 0) -> int:
    value = data.get(key, 0)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused(f"{key}: expected a whole number from {least} to {most}")
    return value
