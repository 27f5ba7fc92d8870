"""MSS_SCHEDULER=SWARM."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace

from microscaling.errors import ConfigError
from microscaling.plugins import Variable
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.settings import Settings
from microscaling.utils.text import quoted

NONE = "none"
LEASE = Variable(
    "MSS_LEASE",
    "with `SWARM`: name of the lease that the agents of one swarm share: the one that has it decides, the "
    "others stand by. `none`: there is only one agent",
    "microscaling",
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
log = logging.getLogger("mssscheduler")


def prepare(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the address of the manager, and with the defaults that differ here: the tasks
    are those in the labels of services, these stay as they are at the end, and reports go only to a server
    that is named. Raises ConfigError."""
    from microscaling.scheduler.docker.plugin import prepare as with_engine

    settings = with_engine(settings, environ)
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
    lease = "" if s.dry_run else lease_of(environ)
    return SwarmScheduler(s.docker_host, s.docker_tls_verify, s.docker_cert_path, s.docker_chosen, lease)


def lease_of(environ: Mapping[str, str]) -> str:
    """Returns the name of the lease; "" for none. Raises ConfigError."""
    name = LEASE.read(environ).strip()
    if name.lower() == NONE:
        return ""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"MSS_LEASE: expected up to 40 letters, digits, - and _, or {NONE}, got {quoted(name)}"
        )
    return name


TYPE = SchedulerPlugin("SWARM", "services of a Docker Swarm", make, prepare=prepare, variables=(LEASE,))
