"""`schedule` in a configuration: what it means, and each mistake with its way out."""

from __future__ import annotations

from typing import Any

import pytest

from microscaling.api.apps import apps_from_parsed
from microscaling.config.services.task import task_of
from microscaling.demand.schedule import Limits
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings

DAY = {"from": "Mon-Fri 08:00", "to": "18:00"}
COUNTS = {"minContainers": 1, "maxContainers": 8}
CONFIG = {"topicName": "t", "channelName": "c", "targetQueueLength": 50}


def read(schedule: Any, **app: Any) -> Task:
    entry = {"name": "a", "priority": 2, **COUNTS, "ruleType": "Queue", "metricType": "NSQ", "config": CONFIG}
    entry |= {"schedule": schedule, **app}
    tasks, _ = apps_from_parsed({"maxContainers": 10, "apps": [entry]}, Settings(), strict=True)
    return tasks[0]


def test_all_of_it() -> None:
    task = read([{**DAY, "timezone": "Europe/Berlin", **COUNTS, "priority": 1, "targetQueueLength": 9}])
    assert task.schedule is not None
    (window,) = task.schedule.windows
    assert window.limits == Limits(1, 8, 1, 9)
    assert window.text == "Mon-Fri 08:00 to 18:00 Europe/Berlin"
    assert task.schedule.length == 50
    assert read(None).schedule is None
    assert read([]).schedule is None


@pytest.mark.parametrize(
    ("window", "problem"),
    [
        ({"from": "8", "to": "18:00"}, '.from: expected a time such as "08:00", "Mon-Fri 08:00" or, as cron, '
         '"0 8 * * 1-5", got "8"'),
        ({"from": "08:00"}, ".to: is missing: a window has from and to, or dates alone"),
        ({"to": "08:00", "dates": "12-25"}, ".from: is missing: a window has from and to, or dates alone"),
        ({}, ".from: is missing: a window has from and to, or dates alone"),
        ({"from": "08:60", "to": "18:00"}, '.from: expected a time from 00:00 to 24:00, got "08:60"'),
        ({"from": "24:01", "to": "18:00"}, '.from: expected a time from 00:00 to 24:00, got "24:01"'),
        ({**DAY, "from": "Mo-Fri 08:00"}, '.from: "Mo" is no day: expected Mon, Tue, Wed, Thu, Fri, Sat or '
         "Sun; did you mean Mon?"),
        ({**DAY, "to": "0 25 * * *"}, '.to: is no expression of cron (Bad hour), got "0 25 * * *"'),
        ({**DAY, "from": 800}, ".from: expected text, got 800"),
        ({**DAY, "timezone": "Europe/Berln"}, '.timezone: there is no time zone "Europe/Berln"; did you mean '
         "Europe/Berlin?"),
        ({**DAY, "timezone": "Europe"}, '.timezone: there is no time zone "Europe": expected a name such as '
         "Europe/Berlin"),
        ({**DAY, "timezone": "../etc/passwd"}, '.timezone: there is no time zone "../etc/passwd": expected a '
         "name such as Europe/Berlin"),
        ({"dates": ["0000-12-24"]}, '.dates[0]: there is no such day, got "0000-12-24"'),
        ({"dates": ["12-32"]}, '.dates[0]: there is no such day, got "12-32"'),
        ({"dates": ["2027-02-29"]}, '.dates[0]: there is no such day, got "2027-02-29"'),
        ({"dates": ["Christmas"]}, '.dates[0]: expected a date such as "2026-12-25" or, for every year, '
         '"12-25", got "Christmas"'),
        ({"dates": ["2026-12-24..01-01"]}, ".dates[0]: a range has a year on both sides, or on none, got "
         '"2026-12-24..01-01"'),
        ({"dates": ["2026-12-24..2026-01-01"]}, '.dates[0]: ends before it begins, got '
         '"2026-12-24..2026-01-01"'),
        ({"dates": []}, ".dates: is empty: give it a date, or leave it out"),
        ({**DAY, "minContainers": 9}, ".minContainers: in this window minContainers is 9, above "
         "maxContainers, which is 8: raise one or lower the other"),
        ({**DAY, "maxContainers": 0}, ".maxContainers: in this window minContainers is 1, above "
         "maxContainers, which is 0: raise one or lower the other"),
        ({**DAY, "minContainers": -1}, ".minContainers: expected a whole number, 0 or more, got -1"),
        ({**DAY, "until": 1}, ".until: is not known: there are minContainers, maxContainers, priority, "
         "targetQueueLength, from, to, timezone, dates"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_way_out(window: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read([DAY | {"priority": 1}, {"priority": 1, **window}])
    assert raised.value.problems == (f"apps[0].schedule[1]{problem}",)


def test_a_window_that_changes_nothing() -> None:
    with pytest.raises(ConfigError, match=r"apps\[0\].schedule\[0\]: changes nothing: give it one of min"):
        read([DAY])


def test_a_target_without_a_rule_that_has_one() -> None:
    with pytest.raises(ConfigError, match=r"schedule\[0\].targetQueueLength: means nothing with this rule"):
        read([{**DAY, "targetQueueLength": 9}], ruleType="Remainder", metricType=None, config={})


def test_no_list() -> None:
    with pytest.raises(ConfigError, match=r"apps\[0\].schedule: expected a list, whose entries begin with -"):
        read(DAY)


def test_windows_whose_minimums_exceed_the_cap() -> None:
    warnings: list[str] = []
    app = {"name": "a", **COUNTS, "maxContainers": 20, "schedule": [{**DAY, "minContainers": 11}]}
    apps_from_parsed({"maxContainers": 10, "apps": [app]}, Settings(), warnings.append)
    assert [line for line in warnings if "windows" in line] == [
        "maxContainers: is 10, but with the windows of the schedules the minContainers of the tasks may add "
        "up to more: those of the lowest priority will have fewer than their minimum meanwhile"
    ]


def test_a_label_of_a_service() -> None:
    labels = {
        "microscaling.enable": "true",
        "microscaling.max": "8",
        "microscaling.rule": "Remainder",
        "microscaling.schedule": '[{"from": "Mon-Fri 08:00", "to": "18:00", "minContainers": 4}]',
    }
    task = task_of("shop/web", labels, 10, Settings(), lambda line: None)
    assert task.schedule is not None
    assert task.schedule.windows[0].limits.least == 4
    labels["microscaling.schedule"] = labels["microscaling.schedule"].replace("Mon", "Mo")
    with pytest.raises(ConfigError, match=r'microscaling\.schedule: "Mo" is no day'):
        task_of("shop/web", labels, 10, Settings(), lambda line: None)
