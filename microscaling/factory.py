"""Builds the objects of the agent from its settings; a plugin is imported only when it is chosen."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from microscaling.clients.server_address import ORIGIN, ServerAddress, needed_server
from microscaling.config.base import CONFIGS, Config
from microscaling.demand.hints import drain_hints, hints
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Engine
from microscaling.errors import ConfigError
from microscaling.log import keep_secret
from microscaling.metric.base import METRICS
from microscaling.monitor.base import MONITORS, Monitor, MonitorPlugin
from microscaling.plugins import Group, not_available
from microscaling.scheduler.base import SCHEDULERS, Scheduler, SchedulerPlugin
from microscaling.scheduler.containers.lease_lock import LeaseLock
from microscaling.scheduler.containers.state_folder import default_folder
from microscaling.scheduler.lease import lease_of
from microscaling.secrets.environment import credentials_in, passed_on, secrets_in
from microscaling.settings import Settings
from microscaling.utils.text import quoted

if TYPE_CHECKING:
    from microscaling.clients.websocket.connection import Connection

log = logging.getLogger("mssagent")

T = TypeVar("T")

CHOICES: Mapping[str, Group[Any]] = {
    "MSS_SCHEDULER": SCHEDULERS,
    "MSS_CONFIG": CONFIGS,
    "MSS_MONITOR": MONITORS,
}
"""The variables with names of plugins as their values."""
NO_MONITOR = "none"


def variables_of_plugins(settings: Settings) -> Iterator[str]:
    """Yields the names of the environment variables that plugins read, apart from the settings. The chosen
    plugins come first, as the others have to be imported for it. Raises ConfigError."""
    named = ((SCHEDULERS, settings.scheduler), (CONFIGS, settings.config))
    chosen = [*(group.find(name, any_case=True) for group, name in named), *_monitors(settings)]
    groups = (METRICS, *CHOICES.values())
    for plugin in chain(filter(None, chosen), chain.from_iterable(group.all() for group in groups)):
        for variable in plugin.variables:
            yield from variable.names


def prepared(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the parts that their scheduler has to find out first, such as the address of
    the Docker engine. Raises ConfigError."""
    prepare = SCHEDULERS.chosen("MSS_SCHEDULER", settings.scheduler).prepare
    settings = settings if prepare is None else prepare(settings, environ)
    # Here and not where it is read: only now it is known who reads it.
    in_swarm = settings.scheduler == "SWARM" and settings.config == "SERVICES"
    if environ.get("MSS_MAX_CONTAINERS", "").strip().lower() == "auto" and not in_swarm:
        raise ConfigError(
            "MSS_MAX_CONTAINERS: auto is for MSS_SCHEDULER=SWARM with MSS_CONFIG=SERVICES: write a number"
        )
    return settings


def make_config(settings: Settings) -> Config:
    """Returns the source of the tasks. Raises ConfigError."""
    source = CONFIGS.chosen("MSS_CONFIG", settings.config)
    return _made(f"MSS_CONFIG={source.type_name}", partial(source.make, settings))


def make_tasks(settings: Settings, environ: Mapping[str, str], config: Config | None = None) -> Tasks:
    """Returns the tasks of the configuration, with the environment for their containers. Raises ConfigError
    with all mistakes at once."""
    return Loader(settings, environ, config or make_config(settings)).tasks()


class Loader:
    """Reads the tasks, again and again, as ready for an agent as at its start. Each hint is logged once."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], config: Config) -> None:
        self.settings = settings
        self.config = config
        self.scheduler = SCHEDULERS.chosen("MSS_SCHEDULER", settings.scheduler)
        self._passed = passed_on(environ, settings.pass_env)
        self._said: set[str] = set()

    def tasks(self) -> Tasks:
        """Returns the tasks of an agent that starts. Raises ConfigError."""
        tasks, cap = self()
        return Tasks(tasks, cap, self.scheduler.noun)

    def __call__(self) -> tuple[list[Task], int]:
        """Returns the tasks and their cap. Raises ConfigError with all mistakes at once."""
        settings, scheduler = self.settings, self.scheduler
        tasks, cap = self.config.get_apps(settings.user_id)
        # Before any message about a task, so that the log masks them.
        keep_secret(value for task in tasks for value in _secrets_of(task))
        _check_sources(tasks)
        _check_words(scheduler, tasks)
        _check_drains(scheduler, tasks)
        _check_web(scheduler, tasks)
        _check_yielding(scheduler, tasks)
        if scheduler.check is not None:
            scheduler.check(tasks)
        end_s = None if settings.on_exit == "leave" else settings.exit_timeout_s
        for hint in (*hints(tasks, cap), *drain_hints(tasks, end_s), *self._hints(tasks)):
            if hint not in self._said:
                log.warning("%s", hint)
                self._said.add(hint)
        for task in tasks:
            if scheduler.version is not None:
                task.version = scheduler.version(task)
            task.env = _merged(self._passed, task.env)
        return tasks, cap

    def _hints(self, tasks: list[Task]) -> Iterator[str]:
        if self.settings.demand_engine == "SERVER" and any(task.schedule for task in tasks):
            yield "schedule: has no effect with MSS_DEMAND_ENGINE=SERVER: the server decides, by its own"
        # The whole environment is passed on by default, as in the Go agent, and its users rely on that. So
        # credentials in it are only named.
        credentials = credentials_in(self._passed)
        if credentials and tasks and self.scheduler.creates_containers:
            yield (
                f"every {self.scheduler.noun} gets these credentials of the agent's environment: "
                f"{', '.join(credentials)}; MSS_PASS_ENV narrows it (none, or a comma-separated list of "
                "names and patterns)"
            )


def make_connection(settings: Settings) -> Connection | None:
    """Returns the one websocket connection to the server, shared by engine and monitor; None if neither needs
    it. Raises ConfigError."""
    if settings.demand_engine != "SERVER" and all(m.type_name != "SERVER" for m in _monitors(settings)):
        return None
    address = ServerAddress.of(settings)
    if address.is_gone:
        return None
    from microscaling.clients.websocket.connection import Connection

    return Connection(address.websocket_url, address.headers, ORIGIN)


def make_engine(settings: Settings, connection: Connection | None = None) -> Engine:
    """Returns the demand engine. Raises ConfigError."""
    make = ENGINES.get(settings.demand_engine)
    if make is None:
        raise not_available("MSS_DEMAND_ENGINE", settings.demand_engine, ENGINES)
    return make(settings, connection)


def make_scheduler(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns the scheduler; with MSS_DRY_RUN, one that only logs its decisions. Raises ConfigError."""
    plugin = SCHEDULERS.chosen("MSS_SCHEDULER", settings.scheduler)
    scheduler = _made(f"MSS_SCHEDULER={plugin.type_name}", partial(plugin.make, settings, environ))
    if not settings.dry_run:
        return scheduler
    from microscaling.scheduler.dry_run import DryRunScheduler

    return DryRunScheduler(scheduler)


def make_lock(settings: Settings, environ: Mapping[str, str]) -> LeaseLock | None:
    """Returns the lease of the agents that share a state folder; None if this is the only one. Raises
    ConfigError."""
    plugin = SCHEDULERS.chosen("MSS_SCHEDULER", settings.scheduler)
    lease = lease_of(environ) if plugin.meets_in_folder and not settings.dry_run else ""
    return LeaseLock(settings.state_dir or default_folder(environ), lease) if lease else None


def make_monitors(settings: Settings, connection: Connection | None = None) -> list[Monitor]:
    """Returns the monitors, the destinations of the reports. Raises ConfigError."""
    plugins = _monitors(settings, log.warning)
    connection = connection or make_connection(settings)
    made = [_made(f"MSS_MONITOR={p.type_name}", partial(p.make, settings, connection)) for p in plugins]
    return [monitor for monitor in made if monitor is not None]


def _monitors(settings: Settings, warn: Callable[..., object] = log.debug) -> list[MonitorPlugin]:
    """Returns the monitors that MSS_MONITOR names; `warn` is for words without one. Raises ConfigError."""
    found: dict[str, MonitorPlugin] = {}
    for word in re.findall(r"[^\s,;]+", settings.monitor):
        if word.lower() == NO_MONITOR:
            continue
        plugin = MONITORS.find(word, any_case=True)
        if plugin is None and "SERVER" in word.upper():
            plugin = MONITORS.find("SERVER")  # as in the Go agent, which looked for these letters only
        if plugin is None:
            names = ", ".join(MONITORS.names())
            warn("MSS_MONITOR: there is no monitor %s; there are: %s, %s", quoted(word), names, NO_MONITOR)
        elif plugin.type_name != "SERVER" or settings.send_metrics_to_api:
            found[plugin.type_name] = plugin
    return list(found.values())


def _made(place: str, make: Callable[[], T]) -> T:
    """Calls a plugin's `make`, which imports the libraries that it needs. Raises ConfigError if one of them
    is missing."""
    try:
        return make()
    except ImportError as error:
        raise ConfigError(f"{place} cannot be used here: {quoted(str(error))}") from error


def _local(settings: Settings, connection: Connection | None) -> Engine:
    from microscaling.engine.local import LOOK_S, LocalEngine

    look_s = LOOK_S if settings.early_looks else 0.0
    return LocalEngine(scale_down_window_s=settings.scale_down_window_s, look_s=look_s)


def _server(settings: Settings, connection: Connection | None) -> Engine:
    from microscaling.engine.server import ServerEngine

    needed_server(settings, {"MSS_DEMAND_ENGINE": "LOCAL"})
    if settings.scale_down_window_s:
        log.warning("MSS_SCALE_DOWN_WINDOW_S has no effect with MSS_DEMAND_ENGINE=SERVER: the server decides")
    connection = connection or make_connection(settings)
    assert connection is not None
    return ServerEngine(connection)


ENGINES: Mapping[str, Callable[[Settings, Connection | None], Engine]] = {"LOCAL": _local, "SERVER": _server}


def _check_sources(tasks: Iterable[Task]) -> None:
    """Raises ConfigError with everything that is missing to measure the tasks, each problem once."""
    sources = {source.key: source for task in tasks for source in task.metric.sources}
    problems: dict[str, None] = {}
    for source in sources.values():
        try:
            source.check()
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(*problems)


def _check_words(scheduler: SchedulerPlugin, tasks: list[Task]) -> None:
    """Raises ConfigError with every key of `config` that the scheduler cannot do, and warns of those that do
    no harm."""
    # All of them, and not only the first, so that a person can fix them in one go.
    problems = [
        f"{task.name}: config.{word}: MSS_SCHEDULER={scheduler.type_name} cannot do it: leave it out"
        + ("" if scheduler.creates_containers else f", and set it in the definition of {scheduler.summary}")
        for task in tasks
        for word in task.container.words
        if not scheduler.takes(word)
    ]
    if problems:
        raise ConfigError(*problems)
    for task in tasks:
        for word in task.container.ignored:
            if not scheduler.takes(word):
                log.warning(
                    "%s: config.%s: MSS_SCHEDULER=%s cannot do it, and ignores it",
                    task.name,
                    word,
                    scheduler.type_name,
                )


def _check_drains(scheduler: SchedulerPlugin, tasks: list[Task]) -> None:
    """Raises ConfigError with every key for busy containers that the scheduler cannot do."""
    problems = []
    for task in tasks:
        if scheduler.check_drain is not None:
            problems += [f"{task.name}: {problem}" for problem in scheduler.check_drain(task)]
            continue
        if task.drain_keys:
            # One line for all of them, as they have one reason and one way out.
            what = f"{task.name}: config.{', '.join(task.drain_keys)}: MSS_SCHEDULER={scheduler.type_name}"
            problems.append(
                f"{what} cannot choose the container that goes: leave out the keys for busy containers"
            )
    if problems:
        raise ConfigError(*problems)


def _check_web(scheduler: SchedulerPlugin, tasks: list[Task]) -> None:
    """Raises ConfigError with every web task if the scheduler has no names of containers."""
    problems = [
        f"{task.name}: config.web: MSS_SCHEDULER={scheduler.type_name} has no names in a network of Docker "
        "to take away and give: leave it out, or use DOCKER or COMPOSE"
        for task in tasks
        if task.web is not None and not scheduler.takes_names
    ]
    if problems:
        raise ConfigError(*problems)


def _check_yielding(scheduler: SchedulerPlugin, tasks: list[Task]) -> None:
    """Raises ConfigError with every task whose containers are to be frozen if the scheduler cannot do it."""
    problems = [
        f"{task.name}: config.{key}: MSS_SCHEDULER={scheduler.type_name} cannot freeze what it runs: "
        "leave it out, or use DOCKER, COMPOSE or PROCESS"
        for task in tasks
        for key, given in (("yield", task.yielding), ("warm", task.warm))
        if given is not None and not scheduler.freezes
    ]
    if problems:
        raise ConfigError(*problems)


def _secrets_of(task: Task) -> Iterable[str]:
    """Yields the secrets in a task's configuration: from its environment and from its metric."""
    yield from secrets_in(task.env)
    for source in task.metric.sources:
        yield from source.secrets


def _merged(passed: list[str], own: list[str]) -> list[str]:
    """Merges two lists of NAME=value; the task's own values win."""
    return [f"{name}={value}" for name, value in dict(e.split("=", 1) for e in [*passed, *own]).items()]
