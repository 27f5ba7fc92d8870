"""The messages between agents and server, over the websocket.

The Go agent's messages, as observed, with one addition: an agent that found the header `HEADER` in the
answer to its handshake may put an object "detail" beside "metrics" (docs/server.md). Reports are checked
here, once, so the rest of the server can rely on their types and ranges; unknown keys are ignored.
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from microscaling.api.agent_report import MAX_LINES
from microscaling.api.containers import MAX_SHOWN
from microscaling.metric.measurement import Measurement
from microscaling.server.domain.rule_reports import read_learned, read_members
from microscaling.server.limits import MAX_APPS, MAX_COUNT, MAX_NAME, MAX_REASON, Refused
from microscaling.utils.text import clean

HEADER = ("microscaling-detail", "1")
MAX_METRIC = 2**53
MAX_WARNINGS = 10
SHORT = 8192
"""Characters of a message that is short enough to read any number in it quickly."""
LONG_NUMBER = re.compile(r"\d{21}")


@dataclass(slots=True)
class TaskReport:
    """An agent's report on one task; the fields from `demand` on come only from agents that send details."""

    running: int
    requested: int
    metric: int | None = None
    """Items in its queue; None: the agent has sent no reading."""
    measured: Measurement | None = None
    """Its jobs by their state; None: its source gives one number only."""
    demand: int | None = None
    priority: int | None = None
    least: int | None = None
    most: int | None = None
    target: int | None = None
    held: str = ""
    fallback: str = ""
    backing_off: bool = False
    resting: str = ""
    """Why it has no containers: its user has stopped or paused them."""
    reason: str = ""
    stopping: int = 0
    """Containers in `running` that are being stopped."""
    draining: int = 0
    """Those of them that are at work for the last time."""
    drains_until: float | None = None
    """The end of the last of them at the latest, monotonic seconds here."""
    frozen: int = 0
    """Containers that take no place under the cap, beside those in `running`."""
    warm_bytes: int = 0
    """The memory of its warm containers, as far as it is known."""
    parked: int = 0
    """Containers in `requested` that wait for a place under the cap."""
    rule: str = ""
    lacks: int = 0
    """Containers more than `requested` that its reading calls for, limits aside."""
    back: int | None = None
    more: int | None = None
    """Readings at which it would give back, at and below, and want more, at and above."""
    learned: dict[str, Any] | None = None
    """What its rule has learned; None: nothing, or it does not learn."""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    """Its metrics, if they are several."""
    failing: dict[str, Any] | None = None
    """The last failure of its containers."""
    answered: bool = False
    """The report has the answer to a question for its containers."""
    containers: list[dict[str, Any]] | None = None
    schedule: str = ""
    """Its open window, and the next change of its limits."""
    override: str = ""
    """The will of a person, in words, that goes before its rule."""
    warnings: tuple[str, ...] = ()
    overdue: bool = False
    """It has not settled for so long that it counts as settled."""


@dataclass(slots=True)
class AgentInfo:
    """An agent's details about itself."""

    name: str = ""
    version: str = ""
    engine: str = ""
    cap: int | None = None
    hold: str = ""
    orphans: str = ""
    occupied: int = 0
    """Places under the cap that containers without a task's demand hold."""
    orders: bool = False
    """It takes orders for its tasks: it decides by itself."""


@dataclass(slots=True)
class Report:
    """One message of an agent."""

    user: str
    tasks: dict[str, TaskReport] = field(default_factory=dict)
    about: AgentInfo | None = None


def is_user(name: str) -> bool:
    """Whether it is a valid name of a user."""
    # It is a part of URLs, so it has no slash, and is shown, so it is printable.
    return 0 < len(name) <= MAX_NAME and name.isprintable() and "/" not in name and name not in (".", "..")


def read_report(text: str) -> Report:
    """Parses and checks the message of an agent. Raises Refused."""
    data = _object(_parsed(text), "the message")
    user = data.get("user")
    if not isinstance(user, str) or not is_user(user):
        raise Refused("user: expected a name of at most 128 printable characters without a slash")
    metrics = _object(data.get("metrics") or {}, "metrics")
    report = Report(user)
    for entry in _entries(metrics, "metrics"):
        get = entry.get
        app = _text("app", get("app"), MAX_NAME)
        running = _whole("runningCount", get("runningCount"), MAX_COUNT)
        requested = _whole("pendingCount", get("pendingCount"), MAX_COUNT)
        metric = _whole("metric", get("metric"), MAX_METRIC)
        if running is None or requested is None:
            missing = "runningCount" if running is None else "pendingCount"
            raise Refused(f"{missing}: is missing")
        report.tasks[app] = TaskReport(running, requested, metric)
    if data.get("detail") is not None:
        _read_detail(report, _object(data["detail"], "detail"))
    return report


def _read_detail(report: Report, data: Mapping[str, Any]) -> None:
    get = data.get
    report.about = AgentInfo(
        _text("name", get("name"), MAX_NAME),
        _text("version", get("version"), MAX_NAME),
        _text("engine", get("engine"), MAX_NAME),
        _whole("cap", get("cap"), MAX_COUNT),
        _text("hold", get("hold"), MAX_REASON),
        _text("orphans", get("orphans"), MAX_REASON),
        _whole("occupied", get("occupied"), MAX_COUNT) or 0,
        get("orders") is True,
    )
    for entry in _entries(data, "detail"):
        get = entry.get
        told = report.tasks.get(_text("app", get("app"), MAX_NAME))
        if told is None:
            continue
        told.demand = _whole("demand", get("demand"), MAX_COUNT)
        told.priority = _whole("priority", get("priority"), MAX_METRIC, least=-MAX_METRIC)
        told.least = _whole("min", get("min"), MAX_METRIC)
        told.most = _whole("max", get("max"), MAX_METRIC)
        told.target = _whole("target", get("target"), MAX_METRIC)
        told.held = _text("held", get("held"), MAX_REASON)
        told.fallback = _text("fallback", get("fallback"), MAX_REASON)
        told.backing_off = get("backingOff") is True
        told.reason = _text("reason", get("reason"), MAX_REASON)
        if "stopping" in entry:
            told.stopping = _whole("stopping", entry["stopping"], MAX_COUNT) or 0
        if "draining" in entry:
            _read_drains(told, entry)
        if "parked" in entry or "frozen" in entry:
            _read_places(told, entry)
        if "resting" in entry:
            told.resting = _text("resting", entry["resting"], MAX_REASON)
        told.schedule = _text("schedule", get("schedule"), MAX_REASON)
        if "override" in entry or "warnings" in entry:
            _read_will(told, entry)
        told.overdue = "overdue" in entry and entry["overdue"] is True
        if "rule" in entry:
            _read_rule(told, entry)
        if "failing" in entry:
            told.failing = _read_failing(_object(entry["failing"], "failing"))
        if "containers" in entry:
            told.answered, told.containers = True, _read_containers(entry["containers"])
        if "metric" in entry:
            told.metric = _whole("metric", get("metric"), MAX_METRIC)
            if "jobs" in entry:
                told.measured = _read_jobs(_object(entry["jobs"], "jobs"))
        elif told.target is not None and told.metric is None and not (told.held or told.fallback):
            told.metric = 0  # earlier versions of ours, without the key, leave out a reading of 0


def _read_rule(told: TaskReport, entry: Mapping[str, Any]) -> None:
    get = entry.get
    told.rule = _text("rule", entry["rule"], MAX_NAME)
    told.lacks = _whole("lacks", get("lacks"), MAX_METRIC) or 0
    told.back = _whole("back", get("back"), MAX_METRIC)
    told.more = _whole("more", get("more"), MAX_METRIC)
    if "learned" in entry:
        told.learned = read_learned(entry["learned"])
    if "metrics" in entry:
        told.metrics = read_members(entry["metrics"])


def _read_jobs(data: Mapping[str, Any]) -> Measurement:
    def count(key: str) -> int | None:
        return _whole(key, data.get(key), MAX_METRIC)

    oldest = count("oldestSeconds")
    return Measurement(
        count("waiting") or 0,
        count("running"),
        count("stuck") or 0,
        count("future") or 0,
        paused=data.get("paused") is True,
        oldest_age_s=oldest,
        exact=data.get("exact") is not False,
    )


def _read_failing(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "why": _text("why", data.get("why"), MAX_REASON),
        "exitCode": _whole("exitCode", data.get("exitCode"), MAX_COUNT, least=-MAX_COUNT),
        "lines": _text("lines", data.get("lines"), MAX_LINES),
        "seconds": _whole("seconds", data.get("seconds"), MAX_METRIC) or 0,
        "retrySeconds": _whole("retrySeconds", data.get("retrySeconds"), MAX_METRIC),
    }


def _read_drains(told: TaskReport, entry: Mapping[str, Any]) -> None:
    # The clocks of two machines differ, so an agent sends the time that is left.
    told.draining = _whole("draining", entry["draining"], MAX_COUNT) or 0
    told.drains_until = time.monotonic() + (
        _whole("drainSeconds", entry.get("drainSeconds"), MAX_METRIC) or 0
    )


def _read_places(told: TaskReport, entry: Mapping[str, Any]) -> None:
    told.parked = _whole("parked", entry.get("parked"), MAX_COUNT) or 0
    told.frozen = _whole("frozen", entry.get("frozen"), MAX_COUNT) or 0
    told.warm_bytes = _whole("warmBytes", entry.get("warmBytes"), MAX_METRIC) or 0


def _read_will(told: TaskReport, entry: Mapping[str, Any]) -> None:
    told.override = _text("override", entry.get("override"), MAX_REASON)
    told.warnings = _read_warnings(entry.get("warnings") or [])


def _read_warnings(data: object) -> tuple[str, ...]:
    if not isinstance(data, list) or len(data) > MAX_WARNINGS:
        raise Refused(f"warnings: expected a list of at most {MAX_WARNINGS}")
    return tuple(_text("warnings", each, MAX_REASON) for each in data)


def _read_containers(data: object) -> list[dict[str, Any]] | None:
    if data is None:
        return None
    if not isinstance(data, list) or len(data) > MAX_SHOWN:
        raise Refused(f"containers: expected a list of at most {MAX_SHOWN}")
    return [
        {
            "id": _text("id", each.get("id"), MAX_NAME),
            "name": _text("name", each.get("name"), MAX_NAME),
            "state": _text("state", each.get("state"), MAX_NAME),
            "seconds": _whole("seconds", each.get("seconds"), MAX_METRIC),
        }
        | ({"activity": _text("activity", each["activity"], MAX_NAME)} if "activity" in each else {})
        for each in (_object(one, "containers") for one in data)
    ]


def demand_message(demand: Mapping[str, int]) -> str:
    """Returns the demand message for an agent, in the format of the Go server's."""
    tasks = ", ".join(f'{{"app": {_quoted(app)}, "demandCount": {n}}}' for app, n in demand.items())
    return f'{{"demand": {{"tasks": [{tasks}]}}}}'


@functools.lru_cache(10_000)
def _quoted(app: str) -> str:
    return json.dumps(app)


def _parsed(text: str) -> object:
    """Parses JSON. Raises Refused."""
    # orjson takes a third of the time of the standard library. It refuses valid text with half a surrogate
    # or more than 1,024 levels, so that is read again. It turns whole numbers of more than 64 bits into
    # floats, which does no harm, as neither is a valid count.
    try:
        return orjson.loads(text)
    except ValueError:
        return _parsed_slowly(text)


def _parsed_slowly(text: str) -> object:
    try:
        # int() takes quadratic time for a long number, and a hook for numbers costs more than all the rest
        # of the parsing, so it is used only for text that needs it.
        long = len(text) > SHORT and LONG_NUMBER.search(text)
        return (CAREFUL if long else DECODER).decode(text)
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


DECODER = json.JSONDecoder(parse_constant=_no_constant)
CAREFUL = json.JSONDecoder(parse_int=_int, parse_constant=_no_constant)


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{what}: expected an object")
    return value


def _entries(data: Mapping[str, Any], what: str) -> list[Mapping[str, Any]]:
    entries = data.get("tasks") or []
    if not isinstance(entries, list) or len(entries) > MAX_APPS:
        raise Refused(f"{what}.tasks: expected a list of at most {MAX_APPS} tasks")
    for entry in entries:
        if not isinstance(entry, dict):
            raise Refused(f"{what}.tasks: expected an object")
    return entries


def _text(key: str, value: object, most: int) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise Refused(f"{key}: expected text")
    if len(value) > most:
        if key in ("app", "name"):
            raise Refused(f"{key}: longer than {most} characters")
        value = value[:most]
    return value if value.isascii() else clean(value)


def _whole(key: str, value: object, most: int, least: int = 0) -> int | None:
    """Returns the number; None, which is not 0, if it is missing or null. Raises Refused."""
    if type(value) is int and least <= value <= most:  # a bool is an int, but no number
        return value
    if value is None:
        return None
    raise Refused(f"{key}: expected a whole number from {least} to {most}")
