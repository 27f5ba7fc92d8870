"""Reads the description of the tasks, from the server or another configuration, into tasks.

The form is the Go agent's: {"maxContainers": n, "apps": [{"name", "priority", "minContainers",
"maxContainers", "ruleType", "metricType", "config": {"image", "command", "targetQueueLength",
"topicName", "channelName", ...}}]}, with "fallback" and "scaleDownWindowSeconds" of our own beside
"ruleType". Numbers of containers, and of items for a queue's length.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from microscaling.api.schema.busy import given_keys, read_busy
from microscaling.api.schema.container import COMMAND, IMAGE, KEYS, SPELLINGS, read_container
from microscaling.api.schema.files import Files
from microscaling.api.schema.literals import warn_of_literals
from microscaling.api.schema.metric import filled_in_keys
from microscaling.api.schema.misplaced import note_misplaced
from microscaling.api.schema.policies import (
    read_activation,
    read_fallback,
    read_idle,
    read_steps,
    read_stuck,
    read_update,
    read_window,
)
from microscaling.api.schema.refused import refuse
from microscaling.api.schema.rule import read_rule
from microscaling.api.schema.sameness import compared
from microscaling.api.schema.schedule import read_schedule
from microscaling.api.schema.section import Notes, Section, shown
from microscaling.api.schema.shares import read_reserve, read_weight
from microscaling.api.schema.unknown import note_unknown
from microscaling.api.schema.variables import fill_in
from microscaling.api.schema.warming import read_warm
from microscaling.api.schema.web import read_web
from microscaling.api.schema.yielding import read_yielding
from microscaling.api.schema.zero_bytes import note_zero_bytes
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.utils.strict_json import parse
from microscaling.utils.text import quoted

log = logging.getLogger("mssconfig")


def apps_from_data(data: bytes, settings: Settings | None = None) -> tuple[list[Task], int]:
    """Returns the tasks, and the number of containers that they share. Raises ConfigError with all
    problems, by place. Without `settings`, those of the environment are used."""
    return apps_from_parsed(parse(data), settings)


def apps_from_parsed(
    data: Any,
    settings: Settings | None = None,
    warn: Callable[[str], None] | None = None,
    strict: bool = False,
    elsewhere: bool = False,
) -> tuple[list[Task], int]:
    """As `apps_from_data`, for parsed data (from YAML, for example). `warn` gets the warnings about probable
    mistakes, in place of the log. `elsewhere`: for an agent elsewhere, so no variable and no file is read."""
    settings = Settings.from_env(os.environ) if settings is None else settings
    warn = functools.partial(log.warning, "%s") if warn is None else warn
    # All problems are collected, so that a person can fix them in one go.
    notes = Notes(strict=strict, elsewhere=elsewhere)
    if data is not None and not isinstance(data, Mapping):
        raise ConfigError(f"expected an object with maxContainers and apps, got {shown(data)}")
    if data and "services" in data and "apps" not in data:
        raise ConfigError("is a Compose file (it has services): a configuration has maxContainers and apps")
    top = Section({} if data is None else data, "", notes)
    max_containers, cap = top.whole("maxContainers", least=0), "maxContainers"
    # At the server the cap is that of its agents; services have no configuration with one.
    if settings.max_containers is not None and not elsewhere and settings.config != "SERVICES":
        max_containers, cap = settings.max_containers, "MSS_MAX_CONTAINERS"
    top.text("name")
    files = Files.of(top)
    placed = {
        place: _task(entry, place, notes, settings, files)
        for place, entry in top.entries("apps")
        if _is_object(entry, place, notes)
    }
    tasks = list(placed.values())
    _check_names(placed, notes)
    _check_cap(top, tasks, max_containers, cap)
    note_unknown(top)
    if notes.problems:  # without the warnings, which are clearer once these are mended
        raise ConfigError(*notes.problems)
    for warning in notes.warnings:
        warn(warning)
    return tasks, max_containers


def _is_object(entry: Any, place: str, notes: Notes) -> bool:
    if entry is None or isinstance(entry, Mapping):
        return True
    notes.problem(place, f"expected an object, got {shown(entry)}")
    return False


def _task(
    entry: Mapping[str, Any] | None, place: str, notes: Notes, settings: Settings, files: Files
) -> Task:
    note_zero_bytes({key: value for key, value in (entry or {}).items() if key != "name"}, place, notes)
    app = Section(entry or {}, place, notes)
    name, priority, config = _name(app), app.whole("priority"), app.section("config", SPELLINGS)
    fill_in(config, (IMAGE, COMMAND, *KEYS))
    least, most = app.whole("minContainers", least=0), app.whole("maxContainers", least=0)
    _check_counts(app, least, most)
    target, metric = read_rule(app, config, least, most, settings)
    measured = target.measures
    container = read_container(config, most, files)
    busy, drain = read_busy(config, most, container.network_mode, container.options, metric)
    task = Task(
        name=name,
        priority=priority,
        min_containers=least,
        max_containers=most,
        max_delta=most - least,
        image=config.text("image"),
        command=container.command,
        target=target,
        metric=metric,
        env=container.env,
        network_mode=container.network_mode,
        publish_all_ports=container.publish_all_ports,
        container=container.options,
        fallback=read_fallback(app, measured, least, most),
        scale_down_window_s=read_window(app, measured),
        idle_s=read_idle(config, measured),
        stuck_s=read_stuck(config, measured),
        update_parallel=read_update(config),
        scale_up=read_steps(app, "scaleUp"),
        scale_down=read_steps(app, "scaleDown"),
        activation=read_activation(config, measured),
        weight=read_weight(app),
        reserve=read_reserve(app, most),
        busy=busy,
        drain=drain,
        drain_keys=given_keys(config),
        web=read_web(config),
        schedule=read_schedule(app, least, most, target),
    )
    task.yielding, task.warm = read_yielding(config, task), read_warm(config, task)
    task.measures, task.decides = compared(entry or {}, target, (least, most))
    _finish(app, config)
    warn_of_literals(entry or {}, filled_in_keys(app, config), place, notes)
    return task


def _finish(app: Section, config: Section) -> None:
    """Notes the keys that are known to have no effect, and those that are not known."""
    # The Go agent read these as well; nothing here depends on them.
    app.text("appType"), app.take("targetValue")
    refuse(config)
    note_misplaced(app, config)
    note_unknown(app, config)


def _name(app: Section) -> str:
    name = app.text("name")
    if app.take("name") in (None, ""):
        app.notes.problem(app.at("name"), "is missing: every task needs a name of its own")
    return name


def _check_counts(app: Section, least: int, most: int) -> None:
    if (app.take("maxContainers") or 0) != most:
        return  # the value is invalid, and has been noted
    if least > most:
        app.notes.problem(
            app.at("minContainers"),
            f"is {least}, above maxContainers, which is {most}: raise one or lower the other",
        )
    elif not most:
        there = app.take("maxContainers")
        app.notes.missing(app.at("maxContainers"), there, "this task will never get a container")


def _check_names(placed: Mapping[str, Task], notes: Notes) -> None:
    first: dict[str, str] = {}
    for place, task in placed.items():
        other = first.setdefault(task.name, place)
        if task.name and other != place:
            notes.problem(f"{place}.name", f"{quoted(task.name)} is the name of {other} too: change one")


def _check_cap(top: Section, tasks: list[Task], cap: int, place: str) -> None:
    notes, least = top.notes, sum(task.min_containers for task in tasks)
    if not top.take("apps"):
        note = notes.problem if notes.strict and top.take("apps") is None else notes.warn
        note("apps", "is empty or missing: there is nothing to scale")
    elif not cap and place == "maxContainers":
        notes.missing("maxContainers", top.take("maxContainers"), "no container will run")
    elif least > cap:
        notes.warn(
            place,
            f"is {cap}, but the minContainers of the tasks add up to {least}: "
            "those of the lowest priority will have fewer than their minimum",
        )
    elif sum(task.schedule.largest_minimum(task.min_containers) if task.schedule else task.min_containers
             for task in tasks) > cap:  # fmt: skip
        notes.warn(
            "maxContainers",
            f"is {cap}, but with the windows of the schedules the minContainers of the tasks may add up to "
            "more: those of the lowest priority will have fewer than their minimum meanwhile",
        )
