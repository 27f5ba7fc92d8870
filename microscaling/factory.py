"""Builds the objects of the agent from its settings; a backend is imported only when it is chosen."""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from microscaling.api.address import ORIGIN, ServerAddress, gone, needed_server
from microscaling.config.base import Config
from microscaling.demand.hints import hints
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Engine
from microscaling.errors import ConfigError
from microscaling.log import keep_secret
from microscaling.metric.base import METRICS
from microscaling.monitor.base import Monitor
from microscaling.scheduler.base import Scheduler
from microscaling.secrets.environment import credentials_in, own, passed_on, secrets_in
from microscaling.settings import Settings

if TYPE_CHECKING:
    from microscaling.clients.websocket.connection import Connection
    from microscaling.config.images.base import Images

log = logging.getLogger("mssagent")

T = TypeVar("T")


def with_engine(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the address of the Docker engine, if the scheduler needs one; logs the choice
    and its reason. Raises ConfigError for an engine that can never answer."""
    if settings.scheduler != "DOCKER":
        return settings
    from microscaling.clients.docker.engine import choose, warn_of_rights

    engine = choose(environ)
    log.info("Docker engine %s: %s", engine.host, engine.why)
    warn_of_rights(engine)
    return replace(
        settings,
        docker_host=engine.host,
        docker_tls_verify=engine.tls_verify,
        docker_cert_path=engine.cert_path,
    )


def variables_of_plugins() -> list[str]:
    """The names of the environment variables that metrics read, apart from the settings."""
    return [variable.name for metric in METRICS.all() for variable in metric.variables]


def make_tasks(settings: Settings, environ: Mapping[str, str]) -> Tasks:
    """Returns the configured tasks, with the environment for their containers. Raises ConfigError with all
    mistakes at once."""
    tasks, max_containers = _chosen("MSS_CONFIG", settings.config, CONFIGS)(settings).get_apps(
        settings.user_id
    )
    # Before any message about a task, so that the log masks them.
    keep_secret(value for task in tasks for value in _secrets_of(task))
    _check_sources(tasks)
    if settings.scheduler == "PROCESS":
        _check_commands(tasks)
    for hint in hints(tasks, max_containers):
        log.warning("%s", hint)
    passed = passed_on(environ, settings.pass_env)
    for task in tasks:
        task.env = _merged(passed, task.env)
    noun = "process" if settings.scheduler == "PROCESS" else "container"
    credentials = credentials_in(passed)
    if credentials and tasks and settings.scheduler in CREATES_CONTAINERS:
        log.warning(
            "every %s gets these credentials of the agent's environment: %s; MSS_PASS_ENV "
            "narrows it (none, or a comma-separated list of names and patterns)",
            noun,
            ", ".join(credentials),
        )
    return Tasks(tasks, max_containers, noun)


def make_connection(settings: Settings) -> Connection | None:
    """Returns the one websocket connection to the server, shared by engine and monitor; None if neither needs
    it. Raises ConfigError."""
    if settings.demand_engine != "SERVER" and not _tells_server(settings):
        return None
    address = ServerAddress.of(settings)
    if address.is_gone:
        return None
    from microscaling.clients.websocket.connection import Connection

    return Connection(address.websocket_url, address.headers, ORIGIN)


def make_engine(settings: Settings, connection: Connection | None = None) -> Engine:
    """Returns the demand engine. Raises ConfigError."""
    return _chosen("MSS_DEMAND_ENGINE", settings.demand_engine, ENGINES)(settings, connection)


def make_scheduler(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns the scheduler; with MSS_DRY_RUN, one that only logs its decisions."""
    scheduler = _chosen("MSS_SCHEDULER", settings.scheduler, SCHEDULERS)(settings, environ)
    if not settings.dry_run:
        return scheduler
    from microscaling.scheduler.dry_run import DryRunScheduler

    return DryRunScheduler(scheduler)


def make_monitors(settings: Settings, connection: Connection | None = None) -> list[Monitor]:
    """Returns the monitors, the destinations of the reports. Raises ConfigError."""
    if not _tells_server(settings):
        return []
    connection = connection or make_connection(settings)
    if connection is None:
        log.info("%s", gone("no metrics are sent; set it to a server of your own, or MSS_MONITOR to none"))
        return []
    from microscaling.monitor.server import ServerMonitor

    return [ServerMonitor(connection, settings.user_id, socket.gethostname(), settings.demand_engine)]


def _tells_server(settings: Settings) -> bool:
    """True if reports go to the server."""
    # The Go agent looked for the word SERVER and ignored all else.
    return "SERVER" in settings.monitor and settings.send_metrics_to_api


def _hardcoded(settings: Settings) -> Config:
    from microscaling.config.hardcoded import HardcodedConfig

    return HardcodedConfig(settings)


def _envvar(settings: Settings) -> Config:
    from microscaling.config.envvar import EnvVarConfig

    return EnvVarConfig(settings)


def _file(settings: Settings) -> Config:
    from microscaling.config.file import FileConfig

    return FileConfig(settings)


def _label(settings: Settings) -> Config:
    from microscaling.config.label import LabelConfig

    return LabelConfig(_server(settings), _images(settings))


def _images(settings: Settings) -> Images:
    """Returns the source of image labels: the backend of the containers, else the registries of the
    images."""
    if settings.scheduler == "DOCKER":
        from microscaling.config.images.engine import EngineImages

        return EngineImages(settings)
    if settings.scheduler == "KUBERNETES":
        from microscaling.clients.kubernetes.client import Kube
        from microscaling.config.images.deployment import DeploymentImages

        return DeploymentImages(Kube(settings.kube_config, settings.kube_namespace))
    from microscaling.config.images.registry import RegistryImages

    return RegistryImages()


def _server(settings: Settings) -> Config:
    from microscaling.config.server import ServerConfig

    return ServerConfig(settings, needed_server(settings, {"MSS_CONFIG": "FILE, ENVVAR or HARDCODED"}))


def _local(settings: Settings, connection: Connection | None) -> Engine:
    from microscaling.engine.local import LocalEngine

    return LocalEngine(scale_down_window_s=settings.scale_down_window_s)


def _server_engine(settings: Settings, connection: Connection | None) -> Engine:
    from microscaling.engine.server import ServerEngine

    needed_server(settings, {"MSS_DEMAND_ENGINE": "LOCAL"})
    if settings.scale_down_window_s:
        log.warning("MSS_SCALE_DOWN_WINDOW_S has no effect with MSS_DEMAND_ENGINE=SERVER: the server decides")
    connection = connection or make_connection(settings)
    assert connection is not None
    return ServerEngine(connection)


def _toy(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    from microscaling.scheduler.toy import ToyScheduler

    return ToyScheduler()


def _docker(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    from microscaling.scheduler.containers.agent_id import AgentId
    from microscaling.scheduler.containers.driver import ContainerScheduler
    from microscaling.scheduler.docker.backend import DockerBackend
    from microscaling.scheduler.process.state import default_folder

    s = settings
    agent = AgentId(s.state_dir or default_folder(environ), s.docker_host, _source(s))
    backend = DockerBackend(s.docker_host, s.docker_tls_verify, s.docker_cert_path, s.pull_images, agent)
    return ContainerScheduler(backend, stop_orphans=s.orphans == "stop")


def _source(settings: Settings) -> str:
    """Returns a name for the origin of the tasks. It is the same in all lives of one agent, even if the tasks
    are renamed."""
    if settings.config == "FILE":
        return f"FILE {os.path.abspath(settings.config_file)}"
    if settings.config in ("SERVER", "LABEL"):
        # Only a hash of it is kept: an address may contain a password.
        whose = f"{settings.api_address} {settings.user_id}"
        return f"{settings.config} {hashlib.sha256(whose.encode()).hexdigest()[:16]}"
    return settings.config


def _marathon(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    from microscaling.scheduler.marathon import Marathon
    from microscaling.scheduler.replicas.orchestrator import OrchestratorScheduler

    return OrchestratorScheduler(Marathon(settings.marathon_api, settings.marathon_token))


def _kubernetes(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    from microscaling.clients.kubernetes.client import Kube
    from microscaling.scheduler.kubernetes.orchestrator import KubernetesOrchestrator
    from microscaling.scheduler.replicas.orchestrator import OrchestratorScheduler

    return OrchestratorScheduler(KubernetesOrchestrator(Kube(settings.kube_config, settings.kube_namespace)))


def _process(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    from microscaling.scheduler.containers.driver import ContainerScheduler
    from microscaling.scheduler.process.backend import ProcessBackend
    from microscaling.scheduler.process.state import default_folder

    # The state folder's default depends on more of the environment than the processes get.
    folder = settings.state_dir or default_folder(environ)
    backend = ProcessBackend(folder, own(environ), alone=True)
    return ContainerScheduler(backend, stop_orphans=settings.orphans == "stop")


CONFIGS: dict[str, Callable[[Settings], Config]] = {
    "ENVVAR": _envvar,
    "FILE": _file,
    "HARDCODED": _hardcoded,
    "LABEL": _label,
    "SERVER": _server,
}
CREATES_CONTAINERS = ("DOCKER", "PROCESS")
"""The other schedulers scale existing containers, with the environment that these have."""
ENGINES: dict[str, Callable[[Settings, Connection | None], Engine]] = {
    "LOCAL": _local,
    "SERVER": _server_engine,
}
SCHEDULERS: dict[str, Callable[[Settings, Mapping[str, str]], Scheduler]] = {
    "DOCKER": _docker,
    "KUBERNETES": _kubernetes,
    "MARATHON": _marathon,
    "PROCESS": _process,
    "TOY": _toy,
}


def _chosen(variable: str, value: str, there_is: Mapping[str, T]) -> T:
    """Looks a setting's value up. The case of letters counts, as in the Go agent."""
    try:
        return there_is[value]
    except KeyError:
        allowed = ", ".join(sorted(there_is))
        raise ConfigError(
            f"{variable}={value} is not available in this version; set {variable} to: {allowed}"
        ) from None


def _check_sources(tasks: Iterable[Task]) -> None:
    """Raises ConfigError with everything that is missing to measure the tasks, each problem once."""
    sources = {s.key: s for s in (task.metric.source for task in tasks) if s is not None}
    problems: dict[str, None] = {}
    for source in sources.values():
        try:
            source.check()
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(*problems)


def _check_commands(tasks: Iterable[Task]) -> None:
    """Raises ConfigError with every command that cannot run as a local process."""
    from microscaling.scheduler.process import command as process_command

    problems = [f"{task.name}: {why}" for task in tasks if (why := process_command.unreadable(task))]
    if problems:
        raise ConfigError(*problems)


def _secrets_of(task: Task) -> Iterable[str]:
    """Yields the secrets in a task's configuration: from its environment and from its metric."""
    yield from secrets_in(task.env)
    if task.metric.source is not None:
        yield from task.metric.source.secrets


def _merged(passed: list[str], own: list[str]) -> list[str]:
    """Merges two lists of NAME=value; the task's own values win."""
    return [f"{name}={value}" for name, value in dict(e.split("=", 1) for e in [*passed, *own]).items()]
