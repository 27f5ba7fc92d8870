"""The command `check`: settings, configuration, backend, sources, decision."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial

from microscaling import factory
from microscaling import log as logs
from microscaling.check.measuring import measured
from microscaling.check.report import Report
from microscaling.config.base import CONFIGS
from microscaling.config.watch import watched_file
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError, PermanentError, ServerError, TemporaryError
from microscaling.metric import missing
from microscaling.scheduler.base import SCHEDULERS
from microscaling.settings import Settings
from microscaling.supervision import privileges
from microscaling.utils.deadline_call import DeadlineCaller
from microscaling.utils.finding import ERROR, WARNING, Finding, error, ok
from microscaling.variables import check_names

PATIENCE_S = 10.0
"""Longest wait (seconds) for the source of the configuration, for which an agent would wait for ever."""
UNHEALTHY, REFUSED, STRICT = 1, 2, 3
"""The exit codes: an error that the agent would live with, one for which it would not start, and a warning
with --strict."""


def check(
    environ: MutableMapping[str, str],
    write: Callable[[str], object],
    strict: bool = False,
    coloured: bool = False,
    draws: bool = False,
) -> int:
    """Looks at all that an agent with these variables would need, and writes a line for each thing that it
    finds. Changes nothing. `draws`: to a terminal, whose last line shows what is waited for. Returns the exit
    code."""
    report = Report(write, coloured, draws)
    # Its lines are those of the report: the log of the parts that it calls would only repeat them.
    logs.setup(Settings(), io.StringIO(), environ)
    try:
        return _check(environ, report, strict)
    finally:
        report.doing("")
        logs.setup(Settings(), environ=environ)


def _check(environ: MutableMapping[str, str], report: Report, strict: bool) -> int:
    report.doing("reading the configuration ...")
    try:
        with report.of_the_log():
            settings, tasks = _read(environ)
    except ConfigError as refused:
        report.add(error(problem) for problem in refused.problems)
        return refused.exit_code
    report.add([ok(_summary(settings, tasks))])
    with report.of_the_log():
        code = _added(report, _of_surroundings(settings))
    report.doing(f"looking at {SCHEDULERS.chosen('MSS_SCHEDULER', settings.scheduler).summary} ...")
    for part in (_of_backend(settings, environ, tasks), _of_lock(settings, environ)):
        code = _added(report, part) or code
    # A queue with another name is named at once, and not after a minute as by an agent that runs.
    missing.HINT_AFTER_S = 0.0
    if settings.demand_engine == "LOCAL":
        with report.of_the_log():
            # What it says of each task is said here in its own words.
            logging.getLogger("mssengine").setLevel(logging.CRITICAL)
            report.add(measured(tasks, settings.scale_down_window_s, report.doing))
    if code or report.has(ERROR):
        return code or UNHEALTHY
    return STRICT if strict and report.has(WARNING) else 0


def _added(report: Report, findings: Iterator[Finding]) -> int:
    """Adds findings to the report. Returns the exit code of a start that would be refused, else 0."""
    try:
        report.add(findings)
    except ConfigError as refused:
        report.add(error(problem) for problem in refused.problems)
        return refused.exit_code
    return 0


def _read(environ: MutableMapping[str, str]) -> tuple[Settings, Tasks]:
    """Reads settings and configuration as a start does. Raises ConfigError."""
    privileges.drop(environ)
    settings = Settings.from_env(environ)
    logs.setup(settings, io.StringIO(), environ)
    check_names(environ, partial(factory.variables_of_plugins, settings))
    settings = factory.prepared(settings, environ)
    factory.make_engine(settings)
    config = factory.make_config(settings)
    reading = DeadlineCaller("mss-config")
    try:
        return settings, reading.call(lambda: factory.make_tasks(settings, environ, config), PATIENCE_S)
    except TimeoutError:
        source = CONFIGS.chosen("MSS_CONFIG", settings.config)
        # No mistake for which a start would be refused.
        raise ServerError(
            f"MSS_CONFIG={source.type_name}: the configuration did not come within {PATIENCE_S:g} s from "
            f"{source.summary}; an agent would wait for it"
        ) from None


def _of_surroundings(settings: Settings) -> Iterator[Finding]:
    """Yields the findings about what the agent has beside its tasks. Raises ConfigError as a start does."""
    watched_file(settings)
    if settings.notify_url:
        from microscaling.notify.notifier import examine as examine_notices

        yield from examine_notices(settings)
    if settings.metrics_address:
        from microscaling.telemetry.server import examine as examine_metrics

        yield examine_metrics(settings)


def _of_backend(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterator[Finding]:
    """Yields the findings about the backend; those without an `examine` of their own only count. Raises
    ConfigError."""
    plugin = SCHEDULERS.chosen("MSS_SCHEDULER", settings.scheduler)
    # Counting at an orchestrator only reads; a scheduler that creates containers would begin to watch them.
    if plugin.examine is not None:
        yield from plugin.examine(settings, environ, tasks)
        return
    scheduler = plugin.make(settings, environ)
    try:
        scheduler.count_all_tasks(tasks)
    except (TemporaryError, PermanentError) as failure:
        yield error(f"{settings.scheduler}: {failure}")
        return
    finally:
        scheduler.cleanup()
    yield ok(f"{settings.scheduler}: {sum(task.running for task in tasks.tasks)} {tasks.nouns} run")


def _of_lock(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yields the finding about a lease in the state folder, if there is to be one. Raises ConfigError."""
    lock = factory.make_lock(settings, environ)
    if lock is None:
        return
    holder = lock.examine()
    has = f"{holder} has it, and another agent would stand by" if holder else "no agent has it"
    yield ok(f"MSS_LEASE ({lock.path}): {has}")


def _summary(settings: Settings, tasks: Tasks) -> str:
    number = len(tasks.tasks)
    return (
        f"{settings.scheduler} scheduler, {settings.config} configuration: {number} "
        f"{'task shares' if number == 1 else 'tasks share'} {tasks.max_containers} {tasks.nouns}"
    )
