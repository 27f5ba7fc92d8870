"""Connecting to a host, of which the name may have several addresses, within one deadline."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any


def connect(host: str, port: int, time_left: Callable[[], float]) -> socket.socket:
    """Returns a connection to the first address of the host that answers.

    `time_left` returns the seconds until the deadline, or raises TimeoutError. Raises OSError.
    """
    found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (family, kind, proto, _, address) in enumerate(found, 1):
        sock = socket.socket(family, kind, proto)
        try:
            # An address that does not answer must leave time for those behind it.
            sock.settimeout(time_left() / (len(found) - number + 1))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(time_left())
            return sock
        except OSError:
            sock.close()
            if number == len(found):
                raise
    raise OSError("the host has no address")
