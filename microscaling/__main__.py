"""The command line: `python -m microscaling`, or `microscaling`."""
# PYTHON_ARGCOMPLETE_OK: see docs/commands.md

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from microscaling import __version__, factory
from microscaling import log as logs
from microscaling.agent import Agent
from microscaling.arguments import OF_AGENTS, parse
from microscaling.config.reload import Reloads
from microscaling.config.watch import FileWatch, watched_file
from microscaling.control.changes import Changes
from microscaling.control.place import own_socket
from microscaling.control.server import ControlServer
from microscaling.control.views import handlers
from microscaling.control.wishes import Wishes, file_of
from microscaling.demand.change import Change
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Engine
from microscaling.errors import ConfigError, Stopped
from microscaling.monitor.base import Monitor
from microscaling.scheduler.base import Scheduler
from microscaling.scheduler.containers.agent_id import source_of
from microscaling.scheduler.containers.lease_lock import LeaseLock
from microscaling.scheduler.containers.state_folder import default_folder
from microscaling.settings import Settings
from microscaling.supervision import health, privileges
from microscaling.supervision.heartbeat import STARTING, Heartbeat
from microscaling.supervision.signals import caught, report_unheeded
from microscaling.supervision.systemd import SystemdNotifier
from microscaling.utils.flag import Flag
from microscaling.utils.reader import Unwritable, for_reader
from microscaling.utils.threads import StoppableThread
from microscaling.variables import check_names, report_ignored
from microscaling.watch.thread import WatchThread

if TYPE_CHECKING:  # it needs the client of HTTP, and is imported only if it is used
    from microscaling.notify.notifier import Notifier

log = logging.getLogger("mssagent")

FAILED = 1
POLL_INTERVAL_S = 0.02
MOMENT_S = 0.5  # for a configuration that is still being read at a request to stop
LOCK_EVERY_S = 0.2
"""Seconds between two looks whether the lease is free."""
OF_HEALTH = ("MSS_HEALTH_FILE", "MSS_SERVER_ADDRESS")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the agent, or the server, with the settings of the environment, or prints the schema. Returns
    the exit code: 0 after a request to stop, 1 after a failure, 2 with bad settings."""
    return for_reader(partial(_main, sys.argv[1:] if arguments is None else arguments), gone=FAILED)


def _main(given: Sequence[str]) -> int:
    if given[:1] == ["simulate"]:
        return simulate(given[1:])
    asked = parse(given)
    if asked.file:
        os.environ |= {"MSS_CONFIG": "FILE", "MSS_CONFIG_FILE": asked.file}
    if asked.dry_run:
        os.environ["MSS_DRY_RUN"] = "true"
    if asked.max is not None:
        os.environ["MSS_MAX_CONTAINERS"] = asked.max
    if asked.command == "schema":
        return print_schema()
    logs.guard_crashes()
    try:
        if asked.health:
            return examine(os.environ, server=asked.command == "server")
        if asked.command == "check":
            return check(asked.strict)
        if asked.command in OF_AGENTS:
            return ask_agents(os.environ, asked)
        return serve(os.environ) if asked.command == "server" else run(os.environ)
    except ConfigError as error:
        return _say(error)
    except Unwritable:
        raise
    except Exception as error:
        log.critical("unexpected failure", exc_info=True)
        log.critical("stopped with exit code 1: %r", error)
        return FAILED


def simulate(arguments: Sequence[str]) -> int:
    """Tries a configuration on simulated queues. Returns the exit code."""
    from microscaling.simulate.command import main as simulated

    try:
        return simulated(arguments, os.environ)
    except ConfigError as error:
        return _say(error)


def print_schema() -> int:
    """Prints the JSON Schema of a configuration, for editors. Returns the exit code."""
    # Imported only here, because it imports every plugin.
    from microscaling.api.schema.json_schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0


def ask_agents(environ: MutableMapping[str, str], asked: argparse.Namespace) -> int:
    """Asks the running agents of this user, or has them do something. Returns the exit code: 1 if there is no
    such agent or task."""
    from microscaling.control import command
    from microscaling.control.client import AgentError

    privileges.drop(environ, engine=False)  # the folder of the socket depends on the user
    write, complain = sys.stdout.write, sys.stderr.write
    try:
        if asked.command == "status":
            coloured = logs.takes_colour(sys.stdout, environ)
            return command.status(environ, write, asked.json, coloured, complain)
        if asked.command == "explain":
            return command.explain(environ, asked.words[0], write, asked.json, complain)
        if asked.command == "reload":
            return command.reload(environ, asked.yes, write, complain)
        return command.order(environ, asked.command, asked.words, asked.seconds, write, asked.down, complain)
    except (AgentError, LookupError) as error:
        sys.stderr.write(f"microscaling: {error}\n")
        return FAILED


def check(strict: bool) -> int:
    """Prints what there is to say about the settings and the configuration. Returns the exit code."""
    from microscaling.check import command

    coloured = logs.takes_colour(sys.stdout, os.environ)
    write = partial(print, end="", flush=True)  # one may take its time
    draws = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return command.check(os.environ, write, strict, coloured, draws)


def run(environ: MutableMapping[str, str]) -> int:
    """Runs the agent with the settings of these variables. Returns the exit code. Raises ConfigError."""
    stopping, hangup = Flag(), threading.Event()
    with caught(stopping, hangup):
        try:
            agent = build(environ, stopping, hangup)
        except Stopped:
            log.info("asked to stop before the start was over")
            return 0
        return agent.run()


def examine(environ: MutableMapping[str, str], server: bool) -> int:
    """Prints one line about the health of the agent or the server, and one about each of the agent's tasks.
    Returns the exit code: 0 healthy, 1 unhealthy."""
    try:
        privileges.drop(environ, engine=not server)  # the default folder of the file depends on the user
        settings = Settings.from_env({name: environ.get(name, "") for name in OF_HEALTH})
    except ConfigError as error:
        _say(error)
        return FAILED
    tasks: list[str] = []
    if server:
        well, line = health.check_server(settings.server_address)
    else:
        now, path = time.monotonic(), settings.health_file
        well, line = health.check(path, now) if path else health.check_user(environ, now)
        files = [path] if path else health.found_files(environ)
        tasks = [task for file in files for task in health.details(file, now)]
    sys.stdout.write("\n".join([f"{'healthy' if well else 'unhealthy'}: {line}", *tasks, ""]))
    return 0 if well else FAILED


def serve(environ: MutableMapping[str, str]) -> int:
    """Runs the server with the settings of these variables. Returns the exit code. Raises ConfigError."""
    dropped = privileges.drop(environ, engine=False)
    settings = Settings.from_env(environ)
    logs.setup(settings)
    check_names(environ, partial(factory.variables_of_plugins, settings))
    if dropped:
        log.info("%s", dropped)
    try:
        # Imported only here, so that the agent runs without the packages of the extra `server`.
        from microscaling.server import serve as server
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("microscaling"):
            raise
        missing = (error.name or "something").partition(".")[0]
        raise ConfigError(
            f"the server needs an extra: pip install '.[server]' in the clone ({missing} is missing)"
        ) from None
    return server.run(settings, environ)


def _say(error: ConfigError) -> int:
    for problem in error.problems:
        sys.stderr.write(f"microscaling: {logs.masked(problem)}\n")
    return error.exit_code


def build(
    environ: MutableMapping[str, str],
    stopping: Flag | None = None,
    hangup: threading.Event | None = None,
) -> Agent:
    """Builds the agent from these variables; it reads its configuration again when `hangup` is set. Raises
    ConfigError, and Stopped if `stopping` is set while it waits for the source of the configuration."""
    stopping, hangup = stopping or Flag(), hangup or threading.Event()
    # First of all: no part of the configuration may be read as root.
    dropped = privileges.drop(environ)
    settings = Settings.from_env(environ)
    logs.setup(settings)
    check_names(environ, partial(factory.variables_of_plugins, settings))
    settings = factory.prepared(settings, environ)
    if dropped:
        log.info("%s", dropped)
    notifier = SystemdNotifier.of(environ)
    connection = factory.make_connection(settings)
    engine = factory.make_engine(settings, connection)
    scheduler = factory.make_scheduler(settings, environ)
    heartbeat = Heartbeat(_health_file(settings, environ), notifier)
    try:
        loader = factory.Loader(settings, environ, factory.make_config(settings))
        watch = [FileWatch(file, hangup)] if (file := watched_file(settings)) else []
        lock = factory.make_lock(settings, environ)
        tasks = _tasks(lock, stopping, loader.tasks, heartbeat)
    except BaseException:
        # A health file that stays would look like an agent that has died.
        heartbeat.close()
        raise
    monitors = factory.make_monitors(settings, connection)
    _introduce(settings, tasks)
    report_ignored(settings, environ)
    reloads = _reloads(settings, scheduler, loader, tasks, hangup, lambda change: agent.take(change))
    control = _control(settings, environ, tasks, Changes(tasks, scheduler, reloads, hangup), monitors)
    agent = Agent(
        tasks,
        engine,
        scheduler,
        monitors,
        settings.on_exit == "leave",
        settings.exit_timeout_s,
        stopping,
        heartbeat,
        loader.config,
        [control, *_watching(settings, tasks, scheduler, engine)],
        [*([reloads] if reloads else []), *watch],
        lock,
    )
    return agent


def _reloads(
    settings: Settings,
    scheduler: Scheduler,
    loader: factory.Loader,
    tasks: Tasks,
    hangup: threading.Event,
    take: Callable[[Change], None],
) -> Reloads | None:
    """Returns the thread that reads the configuration again; None if its source notices changes by itself."""
    if loader.config.follows:
        return None
    why = (
        "" if scheduler.takes_changes else f"MSS_SCHEDULER={settings.scheduler} needs a restart of the agent"
    )
    leaves, confirms = settings.orphans != "stop", settings.reload == "watch"
    return Reloads(loader, take, tasks.tasks, tasks.cap, hangup, leaves, confirms, why)


def _watching(
    settings: Settings, tasks: Tasks, scheduler: Scheduler, engine: Engine
) -> list[StoppableThread]:
    """Returns the threads that look at the tasks for people and for Prometheus, and those that send
    messages."""
    senders: list[Notifier] = []
    if settings.notify_url:
        from microscaling.notify.notifier import notifiers

        senders = notifiers(settings)
    takers = [each.put for each in senders]
    threads = [WatchThread(tasks, scheduler, settings.warn_after_s, takers), *senders]
    if settings.metrics_address:
        from microscaling.telemetry.server import metrics_server

        threads.append(metrics_server(settings, tasks, engine))
    return threads


def _control(
    settings: Settings,
    environ: Mapping[str, str],
    tasks: Tasks,
    changes: Changes,
    monitors: Iterable[Monitor],
) -> ControlServer:
    """Returns the control socket; tasks that are paused or pinned are so from the first decision on."""
    folder, project = settings.state_dir or default_folder(environ), environ.get("MSS_COMPOSE_PROJECT", "")
    file = file_of(folder, settings.docker_host, source_of(settings), project)
    wishes = Wishes(tasks, file, decides=settings.demand_engine == "LOCAL")
    wishes.load()
    for monitor in monitors if wishes.decides else ():
        monitor.obey(wishes.carry_out)
    answers = handlers(tasks, settings.scheduler) | wishes.handlers() | changes.handlers()

    def every() -> None:
        wishes.expire()
        changes.look()

    return ControlServer(own_socket(environ), answers, every, lambda: own_socket(environ))


def _introduce(settings: Settings, tasks: Tasks) -> None:
    """Logs the first line of the agent."""
    log.info(
        "microscaling %s: %s scheduler, %s configuration, %s %d %s%s",
        __version__,
        settings.scheduler,
        settings.config,
        "1 task shares" if len(tasks.tasks) == 1 else f"{len(tasks.tasks)} tasks share",
        tasks.max_containers,
        tasks.nouns,
        ", dry run" if settings.dry_run else "",
    )
    if settings.max_containers is not None and settings.config != "SERVICES":
        log.info("MSS_MAX_CONTAINERS is in place of maxContainers in the configuration")


def _health_file(settings: Settings, environ: Mapping[str, str]) -> health.HealthFile:
    if settings.health_file:
        return health.HealthFile(settings.health_file)
    return health.HealthFile(health.default_file(environ), lambda: health.default_file(environ))


def _stood_by(lock: LeaseLock, stopping: Flag, heartbeat: Heartbeat) -> bool:
    """Waits for the lease. Returns whether another agent had it. Raises Stopped if `stopping` is set."""
    waited = False
    while not lock.take():
        says = f"stands by: another agent decides ({lock.other})"
        if not waited:
            log.info("%s", says)
        waited = True
        if stopping.wait(LOCK_EVERY_S):
            raise Stopped("asked to stop")
        report_unheeded()
        heartbeat.tell(STARTING, lambda says=says: f"starting: {says}")  # type: ignore[misc]
    log.info("this agent has the lease, and decides from now on")
    return waited


class _Configuring(StoppableThread):
    """Loads the tasks, which may take for ever while the source of the configuration is away."""

    def __init__(self, make: Callable[[], Tasks]) -> None:
        super().__init__("mss-config")
        self.make = make
        self.tasks: Tasks | None = None

    def cycle(self) -> None:
        """Loads the tasks once, and ends the thread."""
        self.tasks = self.make()
        self.stop()


def _tasks(lock: LeaseLock | None, stopping: Flag, make: Callable[[], Tasks], heartbeat: Heartbeat) -> Tasks:
    """Waits for the tasks, and until this agent has the lease. Raises Stopped if `stopping` is set first."""
    tasks = _until(stopping, make, heartbeat)
    # After the configuration, so that its mistakes are not found only when it is this agent's turn.
    if lock is not None and _stood_by(lock, stopping, heartbeat):
        tasks = _until(stopping, make, heartbeat)  # it may be another one by now
    return tasks


def _until(stopping: Flag, make: Callable[[], Tasks], heartbeat: Heartbeat) -> Tasks:
    """Waits for the tasks. Raises Stopped if `stopping` is set first."""
    thread = _Configuring(make)
    # After a stop it is joined for a moment only: the wait inside may have no end.
    thread.start()
    while thread.is_alive() and not stopping.is_set():
        thread.join(POLL_INTERVAL_S)
        report_unheeded()
        heartbeat.tell(STARTING, lambda: "starting: waiting for the configuration")
    thread.join(MOMENT_S)
    if thread.error is not None:
        raise thread.error
    if thread.tasks is None:
        raise Stopped("asked to stop")
    return thread.tasks


if __name__ == "__main__":
    sys.exit(main())
