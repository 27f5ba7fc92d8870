"""IPv4 addresses as numbers."""

from __future__ import annotations

import ipaddress


def number_of(address: str) -> int:
    """Returns an IPv4 address as a number, by which addresses are in order; 0 for any other text."""
    try:
        return int(ipaddress.IPv4Address(address))
    except ValueError:
        return 0
