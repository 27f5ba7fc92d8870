"""MSS_SCHEDULER=COMPOSE."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from microscaling.demand.drain_checks import of_containers
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.scheduler.lease import LEASE, lease_of
from microscaling.settings import Settings
from microscaling.utils.finding import Finding

log = logging.getLogger("mssscheduler")


def prepare(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the engine's address, and with the defaults that differ here: the tasks are
    those in the labels of services, their containers stay at the end, and reports go only to a server that is
    named. Raises ConfigError."""
    from microscaling.scheduler.docker.plugin import with_engine

    settings = with_engine(settings, environ)
    lease_of(environ)  # a mistake in it ends a check, too
    # People expect their services to run on without the agent.
    if not environ.get("MSS_ON_EXIT"):
        settings = replace(settings, on_exit="leave")
    if not environ.get("MSS_CONFIG") and settings.config == Settings.config:
        settings = replace(settings, config="SERVICES")
    if not environ.get("MSS_MONITOR") and not environ.get("MSS_API_ADDRESS"):
        settings = replace(settings, monitor="none")
    return settings


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns a scheduler for the services of one engine."""
    from microscaling.clients.docker.compose import own_id
    from microscaling.scheduler.compose.backend import ComposeBackend
    from microscaling.scheduler.compose.own_stops import FORGOTTEN, OwnStops
    from microscaling.scheduler.compose.scheduler import ComposeScheduler
    from microscaling.scheduler.containers.state_folder import default_folder, why_forgotten

    s = settings
    stops = None
    if not s.dry_run:  # which stops nothing, and writes no file either
        folder = s.state_dir or default_folder(environ)
        why = why_forgotten(folder, in_container=bool(own_id()))
        if why:
            log.warning(FORGOTTEN, why)
        stops = OwnStops(folder, s.docker_host, said=bool(why))
    projects = environ.get("MSS_COMPOSE_PROJECT", "")
    scheduler = ComposeScheduler(
        ComposeBackend(
            s.docker_host, s.docker_tls_verify, s.docker_cert_path, s.docker_chosen, projects, stops
        ),
        s.exit_timeout_s,
    )
    scheduler.max_warm_bytes = float("inf") if s.warm_memory is None else s.warm_memory
    return scheduler


def examine(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterable[Finding]:
    """Looks at the engine."""
    from microscaling.scheduler.compose.examine import examine

    return examine(settings, environ, tasks)


TYPE = SchedulerPlugin(
    "COMPOSE",
    "your own Compose services",
    make,
    check_drain=of_containers,
    takes_names=True,
    freezes=True,
    prepare=prepare,
    examine=examine,
    variables=(LEASE,),
    meets_in_folder=True,
)
