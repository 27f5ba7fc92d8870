"""From settings to objects; a backend is imported only when it is chosen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from microscaling.config.base import Config
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import Engine
from microscaling.errors import ConfigError
from microscaling.monitor.base import Monitor
from microscaling.scheduler.base import Scheduler
from microscaling.settings import Settings
from microscaling.utils.env import credentials_in, passed_on

log = logging.getLogger("mssagent")

T = TypeVar("T")


def make_tasks(settings: Settings, environ: Mapping[str, str]) -> Tasks:
    """The tasks of the configuration, with the environment that their containers get. Raises
    ConfigError with all that is wrong."""
    tasks, max_containers = _chosen("MSS_CONFIG", settings.config, CONFIGS)(settings).get_apps(
        settings.user_id
    )
    passed = passed_on(environ, settings.pass_env)
    for task in tasks:
        task.env = _merged(passed, task.env)
    credentials = credentials_in(passed)
    if credentials and tasks:
        log.warning(
            "every container gets these credentials of the agent's environment: %s; MSS_PASS_ENV "
            "narrows it (none, or a comma-separated list of names and patterns)",
            ", ".join(credentials),
        )
    return Tasks(tasks, max_containers)


def make_engine(settings: Settings) -> Engine:
    """Who decides."""
    return _chosen("MSS_DEMAND_ENGINE", settings.demand_engine, ENGINES)(settings)


def make_scheduler(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """What runs the containers; with MSS_DRY_RUN, what only says so."""
    scheduler = _chosen("MSS_SCHEDULER", settings.scheduler, SCHEDULERS)(settings, environ)
    if not settings.dry_run:
        return scheduler
    from microscaling.scheduler.dry_run import DryRunScheduler

    return DryRunScheduler(scheduler)


def make_monitors(settings: Settings) -> list[Monitor]:
    """Where the state is told. The Go agent looked for the word SERVER and ignored all else."""
    if "SERVER" in settings.monitor and settings.send_metrics_to_api:
        log.info("MSS_MONITOR: this version has no SERVER monitor, so none is used; none silences this line")
    return []


def _hardcoded(settings: Settings) -> Config:
    from microscaling.config.hardcoded import HardcodedConfig

    return HardcodedConfig(settings)


def _envvar(settings: Settings) -> Config:
    from microscaling.config.envvar import EnvVarConfig

    return EnvVarConfig(settings)


def _file(settings: Settings) -> Config:
    from microscaling.config.file import FileConfig

    return FileConfig(settings)


def _local(settings: Settings) -> Engine:
    from microscaling.engine.local import LocalEngine

    return LocalEngine()


def _toy(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    from microscaling.scheduler.toy import ToyScheduler

    return ToyScheduler()


def _docker(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    from microscaling.scheduler.docker import DockerBackend
    from microscaling.scheduler.runner import FleetScheduler

    return FleetScheduler(
        DockerBackend(
            settings.docker_host, settings.docker_tls_verify, settings.docker_cert_path, settings.pull_images
        )
    )


def _process(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    from microscaling.scheduler.process import ProcessBackend
    from microscaling.scheduler.runner import FleetScheduler

    return FleetScheduler(ProcessBackend(settings.state_dir, environ))


CONFIGS: dict[str, Callable[[Settings], Config]] = {
    "ENVVAR": _envvar,
    "FILE": _file,
    "HARDCODED": _hardcoded,
}
ENGINES: dict[str, Callable[[Settings], Engine]] = {"LOCAL": _local}
SCHEDULERS: dict[str, Callable[[Settings, Mapping[str, str]], Scheduler]] = {
    "DOCKER": _docker,
    "PROCESS": _process,
    "TOY": _toy,
}


def _chosen(variable: str, value: str, there_is: Mapping[str, T]) -> T:
    """Upper and lower case count, as in the Go agent."""
    try:
        return there_is[value]
    except KeyError:
        allowed = ", ".join(sorted(there_is))
        raise ConfigError(
            f"{variable}={value} is not available in this version; set {variable} to: {allowed}"
        ) from None


def _merged(passed: list[str], own: list[str]) -> list[str]:
    """NAME=value lists in one; what the task says itself wins."""
    return [f"{name}={value}" for name, value in dict(e.split("=", 1) for e in [*passed, *own]).items()]
