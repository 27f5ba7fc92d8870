"""MSS_SCHEDULER=SWARM."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from microscaling.demand.tasks import Tasks
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.scheduler.lease import LEASE, lease_of
from microscaling.settings import Settings
from microscaling.utils.finding import Finding

DEFAULT = "microscaling"
"""The name of the lease if MSS_LEASE has none."""
log = logging.getLogger("mssscheduler")


def prepare(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the address of the manager, and with the defaults that differ here: the tasks
    are those in the labels of services, these stay as they are at the end, and reports go only to a server
    that is named. Raises ConfigError."""
    from microscaling.scheduler.docker.plugin import with_engine

    settings = with_engine(settings, environ)
    lease_of(environ, DEFAULT)  # a mistake in it ends a check, too
    if not environ.get("MSS_ON_EXIT"):
        # The agent ends whenever its own task moves to another manager.
        settings = replace(settings, on_exit="leave")
        log.info("the services stay as they are when the agent ends; MSS_ON_EXIT=stop scales them to 0")
    if not environ.get("MSS_CONFIG") and settings.config == Settings.config:
        settings = replace(settings, config="SERVICES")
    if not environ.get("MSS_MONITOR") and not environ.get("MSS_API_ADDRESS"):
        settings = replace(settings, monitor="none")
    return settings


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns a scheduler for the services of one swarm."""
    from microscaling.scheduler.swarm.scheduler import SwarmScheduler

    s = settings
    # A dry run decides nothing, so it keeps no other agent from deciding.
    lease = "" if s.dry_run else lease_of(environ, DEFAULT)
    return SwarmScheduler(s.docker_host, s.docker_tls_verify, s.docker_cert_path, s.docker_chosen, lease)


def examine(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterable[Finding]:
    """Looks at the swarm, its services and the lease."""
    from microscaling.scheduler.swarm.examine import examine

    lease = "" if settings.dry_run else lease_of(environ, DEFAULT)
    return examine(settings, lease, tasks)


TYPE = SchedulerPlugin(
    "SWARM", "services of a Docker Swarm", make, prepare=prepare, variables=(LEASE,), examine=examine
)
