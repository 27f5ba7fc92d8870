"""What in a container keeps its service from being scaled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SHARED = "container:"


def limit_of(inspected: Mapping[str, Any], name: str) -> tuple[int | None, list[str]]:
    """Returns how many containers of a service can run, None without a limit, and the reasons for a person.

    `inspected` is the engine's description of one of them, `name` the name that Compose would give it.
    """
    found = [*_ports(inspected), *_others(inspected, name)]
    return min((most for most, _ in found), default=None), [reason for _, reason in found]


def why_not_at_all(inspected: Mapping[str, Any]) -> str:
    """Returns why a service cannot be scaled, not even to 0 and back; "" if it can."""
    if (inspected.get("HostConfig") or {}).get("AutoRemove"):
        return (
            "the engine removes its containers as soon as they end (AutoRemove), so that none is left to be "
            "started again: make it without that, as `docker compose up` does"
        )
    return ""


def _ports(inspected: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    host = inspected.get("HostConfig") or {}
    for port, bindings in (host.get("PortBindings") or {}).items():
        for binding in bindings or ():
            # Without a port of its own the engine chooses one for each container.
            first, _, last = str(binding.get("HostPort") or "").partition("-")
            if not first.isdecimal() or first == "0":
                continue
            size = int(last) - int(first) + 1 if last.isdecimal() else 1
            if size > 1:
                yield size, f"its port {port} has {size} ports of the host ({first}-{last}), one for each"
            else:
                yield (
                    1,
                    (
                        f"its port {port} has port {first} of the host, which only one can have: publish a "
                        "range of ports, or `expose` it and put a proxy before the service"
                    ),
                )


def _others(inspected: Mapping[str, Any], name: str) -> Iterator[tuple[int, str]]:
    host = inspected.get("HostConfig") or {}
    if name and str(inspected.get("Name", "")).lstrip("/") != name:
        yield 1, "it has a container_name, which only one container can have: leave that out of the file"
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    for network, endpoint in networks.items():
        address = (endpoint or {}).get("IPAMConfig") or {}
        if address.get("IPv4Address") or address.get("IPv6Address"):
            yield 1, f"it has a fixed address in the network {network}: leave that out"
    if str(host.get("NetworkMode", "")).startswith(SHARED):
        yield 1, "it has the network of another container (network_mode: service:...): give it `networks`"
