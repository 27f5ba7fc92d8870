"""Services of Docker Compose on an engine: their labels, their names here, and the projects that count."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import NotFound

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONEOFF = "com.docker.compose.oneoff"
CONFIG_HASH = "com.docker.compose.config-hash"
IMAGE = "com.docker.compose.image"
NOT_SERVICES = (
    "com.docker.swarm.service.id",
    "com.docker.compose.hook",
    "com.docker.compose.relay",
    "com.docker.compose.slug",
)
"""Labels of tasks of Swarm, and of containers that Compose makes beside those of a service."""
COPY_OF = "com.microscaling.copy-of"
"""Marks a container that the agent copied from one of Compose's; its value is the id of that one."""
ENABLED = "microscaling.enable"
PODMAN_PROJECT = "io.podman.compose.project"
PODMAN_CONFIG_HASH = "io.podman.compose.config-hash"
DIGITS = re.compile(r"[0-9]{1,9}")
OWN = re.compile(
    r"^(?:\S+ ){3}\S*/(?:overlay-)?containers/([0-9a-f]{64})/\S* /etc/(?:hostname|hosts|resolv\.conf) ",
    re.MULTILINE,
)
"""Finds an id in the path of a file that Docker, or Podman, has mounted into a container. Not in any path: on
the engine's own machine some mounts of every container are to be seen."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The projects whose services are tasks; None: all of the engine."""

    projects: frozenset[str] | None = None

    def has(self, labels: Mapping[str, Any]) -> bool:
        """True for a container of one of the projects, of any kind."""
        project = project_of(labels)
        return bool(project) and (self.projects is None or project in self.projects)

    def task_of(self, labels: Any) -> str:
        """Returns the name of the task that a container with these labels belongs to; "" if there is none."""
        if not isinstance(labels, Mapping) or any(label in labels for label in NOT_SERVICES):
            return ""
        project, service = project_of(labels), labels.get(SERVICE)
        if (
            not (project and service and isinstance(service, str))
            or str(labels.get(ONEOFF)).casefold() == "true"
        ):
            return ""
        if self.projects is not None and project not in self.projects:
            return ""
        # Fixed by the scope and not by what runs now, so that a name means the same all the time.
        one = self.projects is not None and len(self.projects) == 1
        return service if one else f"{project}/{service}"


def project_of(labels: Mapping[str, Any]) -> str:
    """Returns the name of the project; "" without one."""
    name = labels.get(PROJECT) or labels.get(PODMAN_PROJECT)
    return name if isinstance(name, str) else ""


def config_of(labels: Mapping[str, Any]) -> tuple[str, str]:
    """Returns what a container is made from: the hash of its service and the id of the image, as labels have
    them; "" for the image without one. Only Compose can compare that with its file."""
    return str(labels.get(CONFIG_HASH) or labels.get(PODMAN_CONFIG_HASH)), str(labels.get(IMAGE) or "")


def number_of(labels: Mapping[str, Any]) -> int:
    """Returns the number of a container among those of its service; 0 without one."""
    text = labels.get(NUMBER)
    return int(text) if isinstance(text, str) and DIGITS.fullmatch(text) else 0


def is_copy(labels: Mapping[str, Any]) -> bool:
    """True for a container that the agent made."""
    return COPY_OF in labels


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


def scope_of(client: docker.APIClient, named: str) -> Scope:
    """Returns the projects that `named` lists, with commas between; by default that of the agent's own
    container, and all if it has none. Raises the errors of the library."""
    projects = frozenset(filter(None, re.split(r"[\s,]+", named)))
    if projects:
        return Scope(projects)
    own = own_labels(client)
    return Scope(frozenset({project_of(own)}) if project_of(own) else None)


def own_labels(client: docker.APIClient) -> Mapping[str, Any]:
    """Returns the labels of the agent's own container; none if it runs in none of this engine."""
    id = own_id()
    if not id:
        return {}
    try:
        labels = client.inspect_container(id)["Config"]["Labels"]
    except NotFound:
        return {}
    return labels if isinstance(labels, Mapping) else {}


@functools.cache
def own_id() -> str:
    """Returns the id of the container that this process runs in; "" if it runs in none."""
    # The engine mounts /etc/hostname and its like from a folder with that name. The host's name would be
    # the id, too, but a person may have set another one.
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            found = OWN.search(mounts.read())
    except OSError:
        return ""
    return found[1] if found else ""
