"""The networks on which a container can be found by name."""

from __future__ import annotations

from collections.abc import Iterable

SHARED = "container:"
OWN = "give the service networks of its own in the file, such as `networks: [front]`"
NAMELESS = {
    "host": f"on the network of the host a container has no name: {OWN}",
    "none": f"it is on no network: {OWN}",
    "bridge": f"on the default network `bridge` Docker knows no names: {OWN}",
    "default": f"on the default network `bridge` Docker knows no names: {OWN}",
}


def why_nameless(networks: Iterable[str]) -> str:
    """Returns why a container on these networks, or with this mode, cannot be taken out of DNS; "" if it
    can."""
    for network in networks:
        if network.startswith(SHARED):
            return f"it has the network of another container, and its name: {OWN}"
        if network in NAMELESS:
            return NAMELESS[network]
    return ""


def is_named(network: str, name: str, project: str = "") -> bool:
    """True if a name means a network: its whole name, or that in the Compose file of the project."""
    return network == name or (bool(project) and network == f"{project}_{name}")
