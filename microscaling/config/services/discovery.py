"""The services of an engine that labels make tasks."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import docker
from docker.errors import NotFound

from microscaling.clients.docker.compose import (
    ENABLED,
    SERVICE,
    Scope,
    number_of,
    own_id,
    project_of,
    scope_of,
    templates,
)
from microscaling.clients.docker.nameless import why_nameless
from microscaling.config.services.limits import limit_of, why_not_at_all
from microscaling.config.services.names import ENABLE, PREFIX, folded
from microscaling.config.services.written import problems_of_files

TRIES = 3
STOP_GRACE_S = 10.0
"""Seconds that an engine waits for the end of a container for which nothing else is set."""


Template = tuple[str, str, tuple[str, ...]]
"""The name of a service, and the id and the names of the container whose labels count."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service with at least one container that Compose made."""

    name: str
    """That of its task."""
    labels: Mapping[str, str]
    """Those for the agent."""
    stop_grace_s: float
    image: str
    most: int | None
    """How many containers can run; None: any number."""
    reasons: tuple[str, ...]
    """Why no more of them can, for a person."""
    refusal: str = ""
    """Why it cannot be scaled at all; empty if it can."""
    nameless: str = ""
    """Why its containers cannot be listed late and unlisted early; empty if they can."""
    networks: tuple[str, ...] = ()
    project: str = ""
    in_memory: tuple[str, ...] = ()
    """Folders of its containers that an engine does not show: a tmpfs each."""
    notes: tuple[str, ...] = ()
    """What its copies will lack."""
    running: int = field(default=0, compare=False)
    """Containers that ran when it was found."""
    started: bool = field(default=True, compare=False)
    """Its container was started once: Compose may write files into it until then."""


class Discovery:
    """Finds the services of one engine, again and again; each container is inspected only once.

    `connect` returns a client, and `projects` are as for `scope_of`.
    """

    def __init__(self, connect: Callable[[], docker.APIClient], projects: str) -> None:
        self._connect = connect
        self._projects = projects
        self._client: docker.APIClient | None = None
        self._scope: Scope | None = None
        self._known: dict[Template, Service | None] = {}

    def services(self) -> list[Service]:
        """Returns the services in the scope that have the label, by name. Raises the errors of the library,
        NotFound if the containers change too fast."""
        if self._client is None:
            self._client = self._connect()
        if self._scope is None:  # once, as the names of all tasks follow from it
            self._scope = scope_of(self._client, self._projects)
        for _ in range(TRIES - 1):
            # A container that is removed meanwhile is replaced, or its service has gone.
            with contextlib.suppress(NotFound):
                return self._look(self._client, self._scope)
        return self._look(self._client, self._scope)

    def close(self) -> None:
        """Closes the connection; the next look opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _look(self, client: docker.APIClient, scope: Scope) -> list[Service]:
        listed = client.containers(all=True, filters={"label": ENABLED})
        # With the names in the engine, as Compose gives a container its own only at the end of a replacement.
        names = {one["Id"]: tuple(one.get("Names") or ()) for one in listed}
        found = [(name, id, names[id]) for name, id in sorted(templates(listed, scope, own_id()).items())]
        known = {template: self._known[template] for template in found if template in self._known}
        self._known = {template: one for template, one in known.items() if one is None or one.started}
        for template in found:
            if template not in self._known:
                name, id, _ = template
                alike = [one for one in listed if scope.task_of(one.get("Labels")) == name]
                running = sum(one.get("State") == "running" for one in alike)
                self._known[template] = _inspected(client, name, id, running)
        return [service for service in map(self._known.get, found) if service is not None]


def _inspected(client: docker.APIClient, name: str, id: str, running: int) -> Service | None:
    inspected = client.inspect_container(id)
    try:
        image = client.inspect_image(inspected["Image"])  # type: ignore[no-untyped-call]
    except NotFound:  # then nothing tells its labels from those of the service
        return None
    service = service_of(name, inspected, (image.get("Config") or {}).get("Labels") or {})
    notes = () if service.most == 1 else problems_of_files(client, inspected)
    started = (inspected.get("State") or {}).get("Status") != "created"
    return replace(service, running=running, notes=tuple(notes), started=started)


def service_of(name: str, inspected: Mapping[str, Any], of_image: Mapping[str, str]) -> Service:
    """Returns the service of an inspected container, whose image has the labels `of_image`."""
    config = inspected["Config"]
    all_labels = config.get("Labels") or {}
    # People who build an image are not those who run it. Any spelling of the label counts.
    labels = {
        label: text
        for label, text in all_labels.items()
        if folded(label) != PREFIX + ENABLE or of_image.get(label) != text
    }
    refusal = why_not_at_all(inspected)
    if ENABLED not in labels:
        labels = all_labels
        refusal = (
            f"{ENABLED} is a label of its image, which does not count: to scale it, write that label with "
            'another value, such as "yes", into the Compose file'
        )
    most, reasons = limit_of(inspected, usual_name(inspected))
    grace = config.get("StopTimeout")
    mode = str(inspected["HostConfig"].get("NetworkMode") or "")
    networks = tuple((inspected.get("NetworkSettings") or {}).get("Networks") or ())
    return Service(
        name=name,
        labels={label: text for label, text in labels.items() if label.casefold().startswith(PREFIX)},
        stop_grace_s=STOP_GRACE_S if grace is None else float(grace),
        image=str(config.get("Image") or ""),
        most=most,
        reasons=tuple(reasons),
        refusal=refusal,
        nameless=why_nameless(networks or (mode,)),
        networks=networks,
        project=project_of(all_labels),
        in_memory=tuple(sorted(_in_memory(inspected))),
    )


def _in_memory(inspected: Mapping[str, Any]) -> Iterator[str]:
    yield from (inspected["HostConfig"].get("Tmpfs") or {})
    for mount in inspected.get("Mounts") or ():
        if mount.get("Type") == "tmpfs":
            yield str(mount.get("Destination"))


def usual_name(inspected: Mapping[str, Any]) -> str:
    """Returns the container's own name if it is one that Compose gives, PROJECT-SERVICE-N, else that name."""
    labels, name = inspected["Config"]["Labels"], str(inspected["Name"]).lstrip("/")
    service, number = str(labels.get(SERVICE)), number_of(labels)
    if re.search(rf"[-_]{re.escape(service)}[-_]{number}$", name):
        return name
    return f"{project_of(labels)}-{service}-{number}"
