"""The proxy of the environment for a request."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether the name or address is that of this machine's loopback interface."""
    host = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def proxy_variable(url: str) -> str:
    """Returns the variable with the proxy for this URL, by the rules of requests; "" if there is none."""
    from requests.utils import get_environ_proxies, select_proxy

    try:
        parts = urlsplit(url)
        if is_loopback(parts.hostname or "") or not select_proxy(url, get_environ_proxies(url)):
            return ""
    except ValueError:
        return ""
    names = (f"{parts.scheme}_proxy", "all_proxy")
    return next((each for name in names for each in (name, name.upper()) if os.environ.get(each)), "")


def by_proxy(url: str) -> str:
    """Returns the words for an error of which a proxy may be the cause; "" without a proxy."""
    variable = proxy_variable(url)
    return f", through the proxy of {variable}" if variable else ""
