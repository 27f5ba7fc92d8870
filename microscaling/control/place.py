"""The place of control sockets: one for each agent, in the folder of the health files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from microscaling.supervision import health
from microscaling.utils.process import may_live

MAX_PATH = 107
"""Most bytes of a socket's path: see unix(7)."""


def own_socket(environ: Mapping[str, str]) -> str:
    """Returns the path for this process, which no other one has; "" if there is no place for one. Removes the
    sockets of processes that have ended."""
    for path in found_sockets(environ):
        if not may_live(int(path.rpartition("-")[2].removesuffix(".sock"))):
            with contextlib.suppress(OSError):
                os.unlink(path)
    name = health.own_name("control", "sock", str(os.getpid()))
    paths = (os.path.join(folder, name) for folder in health.usable_folders(environ))
    return next((path for path in paths if len(os.fsencode(path)) <= MAX_PATH), "")


def found_sockets(environ: Mapping[str, str]) -> list[str]:
    """Returns the sockets of the agents of this user, those of agents that were killed included."""
    return health.found(environ, "control", "sock")
