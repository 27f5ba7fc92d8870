"""The address at which the metrics are read."""

from __future__ import annotations

import errno
import socket

from microscaling.errors import ConfigError
from microscaling.utils.values import LOOPBACK, address_of

VARIABLE = "MSS_METRICS_ADDRESS"
BACKLOG = 16


class PortTaken(ConfigError):
    """Another program listens at this port, or another agent."""


def listen(text: str) -> socket.socket:
    """Returns a socket that listens at this address, as the settings have checked it. Raises ConfigError,
    and PortTaken."""
    return _made(text, listens=True)


def check_free(text: str) -> None:
    """Returns if an agent could listen at this address. Raises ConfigError, and PortTaken."""
    # A socket that only has the address is in the way of no agent that is started just then (on Linux).
    _made(text, listens=False).close()


def _made(text: str, listens: bool) -> socket.socket:
    host, port = address_of(text)
    try:
        # The first answer, as for every server: with `localhost` that is one of the loopback addresses.
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise ConfigError(f"{VARIABLE}: {host} is no address of this machine") from None
    listening = socket.socket(family, kind)
    try:
        # Otherwise an agent that is started again has to wait for a minute.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        if listens:
            listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        why = error.strerror or str(error)
        kind_of = PortTaken if error.errno == errno.EADDRINUSE else ConfigError
        raise kind_of(f"{VARIABLE}: {text} cannot be listened at ({why}): choose another port") from None
    return listening


def is_loopback(listening: socket.socket) -> bool:
    """Whether only programs of this machine can connect."""
    return str(listening.getsockname()[0]).startswith(LOOPBACK)


def shown(listening: socket.socket) -> str:
    """Returns the address as in a URL."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
