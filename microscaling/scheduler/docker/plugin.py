"""MSS_SCHEDULER=DOCKER."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from microscaling.clients.docker.nameless import why_nameless
from microscaling.clients.http import library
from microscaling.demand.drain_checks import of_containers
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.scheduler.lease import LEASE, leaving
from microscaling.settings import Settings
from microscaling.utils.finding import Finding

log = logging.getLogger("mssagent")


def prepare(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the engine's address, and the default that differs with a lease. Raises
    ConfigError."""
    return with_engine(leaving(settings, environ), environ)


def with_engine(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the address of the chosen engine; logs the choice and its reason. Raises
    ConfigError for an engine that can never answer."""
    from microscaling.clients.docker.engine import check_rights, choose

    library.load()  # before Docker's library, which imports it
    engine = choose(environ)
    log.info("Docker engine %s: %s", engine.host, engine.why)
    check_rights(engine)
    return replace(
        settings,
        docker_host=engine.host,
        docker_tls_verify=engine.tls_verify,
        docker_cert_path=engine.cert_path,
        docker_chosen=engine.why,
    )


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns a scheduler for the containers of one engine."""
    from microscaling.scheduler.containers.agent_id import AgentId, source_of
    from microscaling.scheduler.containers.driver import ContainerScheduler
    from microscaling.scheduler.containers.state_folder import default_folder
    from microscaling.scheduler.docker.backend import DockerBackend

    s = settings
    agent = AgentId(s.state_dir or default_folder(environ), s.docker_host, source_of(s))
    backend = DockerBackend(
        s.docker_host, s.docker_tls_verify, s.docker_cert_path, s.pull_images, agent, s.docker_chosen
    )
    scheduler = ContainerScheduler(backend, s.orphans == "stop", s.exit_timeout_s)
    scheduler.max_warm_bytes = float("inf") if s.warm_memory is None else s.warm_memory
    return scheduler


def takes(word: str) -> bool:
    """True for all words of containers."""
    return word not in ("directory", "output")


def check(tasks: Iterable[Task]) -> None:
    """Raises ConfigError with every task that can have containers and has no image, and with every web task
    whose containers have no names."""
    tasks = list(tasks)
    problems = [
        f"{task.name}: has no image; MSS_SCHEDULER=DOCKER runs config.image"
        for task in tasks
        if task.max_containers and not task.image
    ]
    problems += [
        f"{task.name}: config.web: {why}"
        for task in tasks
        if task.web is not None and (why := why_nameless(task.container.networks or (task.network_mode,)))
    ]
    problems += [
        f"{task.name}: config.webNetworks: {name} is not among its networks"
        for task in tasks
        for name in (task.web.networks if task.web is not None else ())
        if name not in task.container.networks
    ]
    problems += [
        f"{task.name}: config.warmAfter.signal: PID 1 of a container cannot stop itself: add init: true, or "
        "use {file: /tmp/ready}"
        for task in tasks
        if task.warm is not None and task.warm.stops and not task.container.request.get("HostConfig.Init")
    ]
    if problems:
        raise ConfigError(*problems)


def version(task: Task) -> str:
    """Returns the version of a task."""
    from microscaling.scheduler.docker.body import version_of

    return version_of(task)


def examine(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterable[Finding]:
    """Looks at the engine and at all that the tasks need there."""
    from microscaling.scheduler.docker.examine import examine

    return examine(settings, environ, tasks)


TYPE = SchedulerPlugin(
    "DOCKER",
    "containers of a Docker engine",
    make,
    creates_containers=True,
    check=check,
    takes=takes,
    version=version,
    check_drain=of_containers,
    takes_names=True,
    freezes=True,
    prepare=prepare,
    examine=examine,
    variables=(LEASE,),
    meets_in_folder=True,
)
