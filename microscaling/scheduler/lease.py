"""MSS_LEASE: the name of the lease that several agents of the same tasks share."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace

from microscaling.errors import ConfigError
from microscaling.plugins import Variable
from microscaling.settings import Settings
from microscaling.utils.text import quoted

log = logging.getLogger("mssscheduler")

NONE = "none"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
LEASE = Variable(
    "MSS_LEASE",
    "name of a lease: of the agents with the same one, one decides and the others stand by. They meet in the "
    "swarm with `SWARM`, in the namespace with `KUBERNETES`, and in MSS_STATE_DIR with `COMPOSE`, `DOCKER` "
    "and `PROCESS`. `none`: there is only one agent. Empty: `microscaling` with `SWARM`, else `none`. With a "
    "lease MSS_ON_EXIT is `leave` unless it is set",
)


def lease_of(environ: Mapping[str, str], default: str = "") -> str:
    """Returns the name of the lease; "" for none. Raises ConfigError."""
    name = LEASE.read(environ).strip() or default
    if not name or name.lower() == NONE:
        return ""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"MSS_LEASE: expected up to 40 letters, digits, - and _, or {NONE}, got {quoted(name)}"
        )
    return name


def leaving(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with `leave` as the default of MSS_ON_EXIT if there is a lease: another agent goes
    on with what runs. Raises ConfigError."""
    if not lease_of(environ) or environ.get("MSS_ON_EXIT"):
        return settings
    log.info("what runs stays when the agent ends, as MSS_LEASE is set; MSS_ON_EXIT=stop stops it")
    return replace(settings, on_exit="leave")
