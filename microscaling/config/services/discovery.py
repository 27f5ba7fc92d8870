"""The services of an engine that labels make tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import NotFound

from microscaling.clients.docker.compose import (
    ENABLED,
    SERVICE,
    Scope,
    is_copy,
    number_of,
    own_id,
    project_of,
)
from microscaling.config.services.limits import limit_of

STOP_GRACE_S = 10.0
"""Seconds that an engine waits for the end of a container for which nothing else is set."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service with at least one container that Compose made."""

    name: str
    """That of its task."""
    labels: Mapping[str, str]
    stop_grace_s: float
    image: str
    most: int | None
    """How many containers can run; None: any number."""
    reasons: tuple[str, ...]
    """Why no more of them can, for a person."""


def services_of(client: docker.APIClient, scope: Scope) -> list[Service]:
    """Returns the services in the scope that have the label, by name. Raises the errors of the library."""
    listed = client.containers(all=True, filters={"label": ENABLED})
    found: list[Service] = []
    for name, id in sorted(templates(listed, scope, own_id()).items()):
        try:
            inspected = client.inspect_container(id)
            image = client.inspect_image(inspected["Image"])  # type: ignore[no-untyped-call]
        except NotFound:  # removed meanwhile: its service is gone, or about to be made anew
            continue
        service = service_of(name, inspected, (image.get("Config") or {}).get("Labels") or {})
        if service is not None:
            found.append(service)
    return found


def templates(listed: Iterable[Mapping[str, Any]], scope: Scope, own: str = "") -> dict[str, str]:
    """Returns the id of the youngest container of Compose's own for each task. `own` is the id of the agent's
    container: its service is no task."""
    found: dict[str, tuple[float, str]] = {}
    # All of its service: it may have several containers, of which one is about to replace the other.
    mine = {scope.task_of(one.get("Labels")) for one in listed if one["Id"] == own}
    for one in listed:
        labels = one.get("Labels") or {}
        name = scope.task_of(labels)
        if name and name not in mine and not is_copy(labels):
            # The youngest has the labels of the last `up`.
            found[name] = max(found.get(name, (-1.0, "")), (float(one.get("Created") or 0), one["Id"]))
    return {name: id for name, (_, id) in found.items()}


def service_of(name: str, inspected: Mapping[str, Any], of_image: Mapping[str, str]) -> Service | None:
    """Returns the service of an inspected container; None if only its image asks for it to be scaled."""
    config = inspected["Config"]
    labels = config.get("Labels") or {}
    # Whoever builds an image is not whoever runs it.
    if labels.get(ENABLED) == of_image.get(ENABLED):
        return None
    most, reasons = limit_of(inspected, usual_name(inspected))
    grace = config.get("StopTimeout")
    return Service(
        name=name,
        labels=labels,
        stop_grace_s=STOP_GRACE_S if grace is None else float(grace),
        image=str(config.get("Image") or ""),
        most=most,
        reasons=tuple(reasons),
    )


def usual_name(inspected: Mapping[str, Any]) -> str:
    """Returns the container's own name if it is one that Compose gives, PROJECT-SERVICE-N, else that name."""
    labels, name = inspected["Config"]["Labels"], str(inspected["Name"]).lstrip("/")
    service, number = str(labels.get(SERVICE)), number_of(labels)
    if re.search(rf"[-_]{re.escape(service)}[-_]{number}$", name):
        return name
    return f"{project_of(labels)}-{service}-{number}"
