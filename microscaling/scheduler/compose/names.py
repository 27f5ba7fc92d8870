"""The names of a service's containers in DNS, which they have as aliases in its networks.

Pure. Fields are those of GET /containers/ID/json (Docker Engine API v1.41).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.clients.docker.compose import project_of
from microscaling.clients.docker.nameless import is_named
from microscaling.demand.web import Web
from microscaling.scheduler.compose.copy import endpoints_of
from microscaling.scheduler.compose.podman import as_taken


def names_of(original: Mapping[str, Any], name: str, web: Web | None) -> dict[str, dict[str, Any]]:
    """Returns the connections with all names of a container with that name, by network, as an original has
    them: in the networks of the web task, or without one in all."""
    project = project_of(original["Config"]["Labels"])
    taken = as_taken(original)
    endpoints = endpoints_of(taken, name, str(taken["HostConfig"].get("NetworkMode") or ""))
    chosen = web.networks if web is not None else ()
    return {
        network: endpoint
        for network, endpoint in endpoints.items()
        if not chosen or any(is_named(network, one, project) for one in chosen)
    }
