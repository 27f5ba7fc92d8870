"""What server and agents tell each other, and what people give the server."""

from __future__ import annotations

import json

from hypothesis import given

from microscaling.api.demand import MAX_CONTAINERS, BadMessage, read_demand
from microscaling.errors import ConfigError
from microscaling.server.domain.reports import MAX_METRIC, is_user, read_report
from microscaling.server.domain.user_config import read_plan
from microscaling.server.http.yaml_file import as_yaml
from microscaling.server.limits import MAX_APPS, MAX_COUNT, MAX_NAME, MAX_REASON, Refused
from microscaling.settings import Settings
from microscaling.utils.strict_json import parse
from microscaling.utils.yaml_text import parse as parse_yaml
from tests.fuzz.checks import check_error, check_line, fuzz, is_whole
from tests.fuzz.inputs import Dice, dice
from tests.fuzz.test_apps import APPS

DEMAND = {"demand": {"tasks": [{"app": "p1", "demandCount": 7}, {"app": "p2", "demandCount": 0}]}}
TOLD = {"app": "p1", "runningCount": 4, "pendingCount": 3, "metric": 12}
MORE = {
    "app": "p1",
    "demand": 4,
    "priority": 1,
    "min": 0,
    "max": 9,
    "target": 50,
    "held": "",
    "backingOff": False,
    "reason": "r",
    "override": "paused by hand",
    "warnings": ["w"],
}
REPORT = {"user": "hello", "metrics": {"tasks": [TOLD], "createdAt": 1500000000}}
DETAIL = {
    **REPORT,
    "detail": {
        "name": "n",
        "version": "1",
        "engine": "LOCAL",
        "cap": 9,
        "hold": "",
        "orders": True,
        "tasks": [MORE],
    },
}


@fuzz
@given(dice)
def test_demand(dice: Dice) -> None:
    try:
        demand = read_demand(dice.json(DEMAND))
    except BadMessage as error:
        check_error(error)
    else:
        assert all(type(name) is str and is_whole(count, 0, MAX_CONTAINERS) for name, count in demand.items())


@fuzz
@given(dice)
def test_reports(dice: Dice) -> None:
    try:
        report = read_report(dice.json(REPORT, DETAIL).decode("utf-8", "replace"))
    except Refused as error:
        return check_error(error)
    assert is_user(report.user)
    for app, told in report.tasks.items():
        texts = [app, told.held, told.reason]
        assert all(len(text.encode()) <= 4 * MAX_REASON for text in texts)
        assert len(app) <= MAX_NAME
        assert all(is_whole(count, 0, MAX_COUNT) for count in (told.running, told.requested))
        assert told.demand is None or is_whole(told.demand, 0, MAX_COUNT)
        known = [n for n in (told.metric, told.least, told.most, told.target) if n is not None]
        assert all(is_whole(n, 0, MAX_METRIC) for n in known)
        assert told.priority is None or is_whole(told.priority, -MAX_METRIC, MAX_METRIC)
        assert type(told.backing_off) is bool
        assert all(type(text) is str and len(text) <= MAX_REASON for text in (told.override, *told.warnings))
    if report.about is not None:
        assert report.about.cap is None or is_whole(report.about.cap, 0, MAX_COUNT)
        report.about.name.encode()


@fuzz
@given(dice)
def test_configurations(dice: Dice) -> None:
    """What is kept can be given out again, as JSON and as YAML, and means the same."""
    try:
        plan = read_plan(parse(dice.json(*APPS)), Settings())
    except ConfigError as error:
        return check_error(error)
    assert len(plan.models) <= MAX_APPS
    json.dumps(plan.data, ensure_ascii=False).encode()
    assert parse_yaml(as_yaml(plan.data).encode()) == plan.data
    for line in plan.warnings:
        check_line(line)
