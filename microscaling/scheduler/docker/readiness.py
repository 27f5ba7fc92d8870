"""Whether a container takes requests, as far as an engine and its ports show it."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any

CONNECT_S = 0.3
LIST_AFTER_S = 30.0
"""Seconds after its start at which a container counts as ready, if it has a health check or a port."""
BLIND_S = 1.0
"""The same if nothing shows that it is ready."""
TCP = re.compile(r"([0-9]{1,5})(?:/tcp)?")


def is_ready(inspected: Mapping[str, Any], up_s: float, after_s: float | None) -> bool:
    """True if a container that has run for `up_s` seconds is healthy, or without a health check listens, or
    has run for `after_s` (None: the defaults above)."""
    if up_s >= (LIST_AFTER_S if after_s is None else after_s):
        return True
    healthy = _healthy(inspected)
    if healthy is not None:
        return healthy
    listens = _listens(inspected)
    if listens is None:
        return after_s is None and up_s >= BLIND_S
    return listens


def _healthy(inspected: Mapping[str, Any]) -> bool | None:
    health = (inspected.get("State") or {}).get("Health")
    return None if not health else health.get("Status") == "healthy"


def _listens(inspected: Mapping[str, Any]) -> bool | None:
    """True if one of its ports is open; None if that cannot be told from here."""
    found = (TCP.fullmatch(port) for port in inspected["Config"].get("ExposedPorts") or {})
    ports = sorted(int(port[1]) for port in found if port)
    networks = ((inspected.get("NetworkSettings") or {}).get("Networks") or {}).values()
    addresses = [str(one["IPAddress"]) for one in networks if one and one.get("IPAddress")]
    # All of its addresses lead to the same program.
    refused = False
    for address in addresses[:1]:
        for port in ports:
            try:
                socket.create_connection((address, port), CONNECT_S).close()
                return True
            except ConnectionRefusedError:  # the container is there, and the program does not listen yet
                refused = True
            except OSError:  # from a machine, or network, without a way to the container
                return None
    return False if refused else None
