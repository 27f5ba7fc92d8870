"""Whether a container takes requests, or waits, as far as an engine and its ports show it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CONNECT_S = 0.3
LIST_AFTER_S = 30.0
"""Seconds after its start at which a container counts as ready, if it has a health check or a port."""
BLIND_S = 1.0
"""The same if nothing shows that it is ready."""
NO_CHECK = (None, "", "none")
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


def states_of_programs(rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the states of the children of a container's first process, as `ps` has them. `rows`: of each
    process its pid, that of its parent, and its state."""
    # Podman may have them all in one field.
    fields = [" ".join(row).split() for row in rows]
    state_of = {row[0]: (row[1], row[2]) for row in fields if len(row) > 2}
    # The pids may be the host's. Commands of a health check, or of an exec, have theirs elsewhere, too.
    firsts = {pid for pid, (parent, _) in state_of.items() if parent not in state_of}
    return [state for parent, state in state_of.values() if parent in firsts]


def _healthy(inspected: Mapping[str, Any]) -> bool | None:
    status = ((inspected.get("State") or {}).get("Health") or {}).get("Status")
    # Podman before version 5 has this entry without a health check, too.
    return None if status in NO_CHECK else status == "healthy"


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
