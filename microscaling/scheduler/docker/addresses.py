"""The addresses of a network: whether a container that leaves it gets its own again.

Pure. An engine gives the lowest address that is free.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from microscaling.scheduler.containers.backend import Unsafe

MOST_LOOKED_AT = 4096
"""Addresses that are looked at to find a free one: a larger network is taken for one without holes."""


def check_stays(network: Mapping[str, Any], address: str) -> None:
    """Raises Unsafe if a lower address than this one is free on a network, as the engine describes it
    (GET /networks/ID)."""
    if not address:
        return
    mine = ipaddress.IPv4Address(address)
    free = lowest_free(network)
    if free is not None and free < mine:
        raise Unsafe(
            f"it would come back to the network {network.get('Name')} with another address, as {free} is "
            "free below its own: give the network a subnet in the file"
        )


def lowest_free(network: Mapping[str, Any]) -> ipaddress.IPv4Address | None:
    """Returns the address that the next container would get; None if it cannot be told."""
    used = set(_used(network))
    for config in (network.get("IPAM") or {}).get("Config") or ():
        subnet = ipaddress.ip_network(str(config.get("Subnet")), strict=False)
        if not isinstance(subnet, ipaddress.IPv4Network):
            continue
        pool = ipaddress.ip_network(str(config.get("IPRange") or subnet), strict=False)
        # Without one in the configuration the engine takes the first for its gateway.
        gateway = str(config.get("Gateway") or subnet[1]).partition("/")[0]
        others = {gateway, *map(str, (config.get("AuxiliaryAddresses") or {}).values())}
        # In the engine's own order, from the lowest on.
        for place in range(min(pool.num_addresses, MOST_LOOKED_AT)):
            address = pool[place]
            edge = address in (subnet.network_address, subnet.broadcast_address)
            if not edge and str(address) not in used | others and isinstance(address, ipaddress.IPv4Address):
                return address
    return None


def takes_wishes(network: Mapping[str, Any]) -> bool:
    """True if a network is certain to give a container the address that it asks for."""
    # Only a subnet in the file has no gateway beside it, which the engine adds to one of its own.
    configs = (network.get("IPAM") or {}).get("Config") or ()
    return bool(configs) and not any(config.get("Gateway") for config in configs)


def _used(network: Mapping[str, Any]) -> Iterator[str]:
    for endpoint in (network.get("Containers") or {}).values():
        yield str(endpoint.get("IPv4Address") or "").partition("/")[0]
