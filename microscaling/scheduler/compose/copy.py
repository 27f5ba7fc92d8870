"""The request for a copy of a container that Compose made, from the engine's description of that one.

Pure. A copy equals a replica that Compose would make, but for the label that marks it. Fields are those of
GET /containers/ID/json and POST /containers/create (Docker Engine API v1.41 and later).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.clients.docker.compose import COPY_OF, NUMBER, PROJECT, SERVICE, number_of, project_of
from microscaling.scheduler.compose.podman import as_taken

ANONYMOUS = re.compile(r"[0-9a-f]{64}")
"""The name that an engine gives to a volume without one."""
NOT_COPIED = ("com.docker.compose.replace", "com.docker.compose.slug")
"""Labels of a container that took the place of another one."""
WITHOUT_ENDPOINTS = ("host", "none", "bridge", "default")
SHARED = "container:"
REPLACES = re.compile(r"[0-9a-f]{12}_")
"""The begin of a name while its container is about to replace another one."""
SHORT = 12
"""Digits of an id in the places where an engine writes a part of it."""
ALL_AT_ONCE = (1, 44)
"""From this version of the API on, a container is created with all its networks."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A container to create."""

    name: str
    body: dict[str, Any]
    others: Mapping[str, dict[str, Any]]
    """By network, the endpoints that the engine takes only after the create."""


def copy_of(
    original: Mapping[str, Any], number: int, image: str, version: str, unlisted: Iterable[str] = ()
) -> Copy:
    """Returns the copy with that number. `image` is the name or id by which it gets the original's image, and
    `version` that of the engine's API. In the `unlisted` networks it has no name but its own."""
    original = as_taken(original)
    name, host = name_of(original, number), dict(original["HostConfig"])
    body = dict(original["Config"])
    mode = str(host.get("NetworkMode") or "")
    body["Image"] = image
    body["Labels"] = _labels(original, number)
    body.pop("MacAddress", None)
    # By default it is a part of the id. With these modes it is the host's, or that of another container.
    shared = mode.startswith(SHARED)
    if original["Config"].get("Hostname") == original["Id"][:SHORT] or shared or "host" in (
        mode, host.get("UTSMode"),
    ):  # fmt: skip
        body["Hostname"] = ""
    if shared:
        body.pop("ExposedPorts", None)
        host.pop("PortBindings", None)
    host["ContainerIDFile"] = ""
    body["Volumes"] = _with_new_volumes(host, body.get("Volumes"), original.get("Mounts") or ())
    body["HostConfig"] = host
    endpoints = endpoints_of(original, name, mode)
    for network in unlisted:
        if network in endpoints:
            endpoints[network]["Aliases"] = [
                alias for alias in endpoints[network]["Aliases"] if alias == name
            ]
    first = endpoints
    if tuple(map(int, version.split("."))) < ALL_AT_ONCE:
        first = {mode: endpoints[mode]} if mode in endpoints else dict([*endpoints.items()][:1])
    if first:
        body["NetworkingConfig"] = {"EndpointsConfig": first}
    return Copy(name, body, {key: value for key, value in endpoints.items() if key not in first})


def name_of(original: Mapping[str, Any], number: int) -> str:
    """Returns the name of the container with that number, with the separator that the original's has."""
    labels, name = original["Config"]["Labels"], str(original["Name"]).lstrip("/")
    for separator in "-_":
        end = f"{separator}{labels.get(SERVICE)}{separator}"
        if name.endswith(f"{end}{number_of(labels)}"):
            # Compose 1.29 leaves some characters of the project's name out.
            return f"{name.removesuffix(str(number_of(labels)))}{number}"
    return f"{project_of(labels) or labels.get(PROJECT)}-{labels.get(SERVICE)}-{number}"


def is_usual(original: Mapping[str, Any]) -> bool:
    """True if a container has the name that Compose gives in the end: while it replaces one, the new one has
    another."""
    labels, name = original["Config"]["Labels"], str(original["Name"]).lstrip("/")
    replaces = REPLACES.match(name) and not project_of(labels).startswith(name[:SHORT])
    return not replaces and name == name_of(original, number_of(labels))


def _labels(original: Mapping[str, Any], number: int) -> dict[str, str]:
    labels = {key: text for key, text in original["Config"]["Labels"].items() if key not in NOT_COPIED}
    return labels | {NUMBER: str(number), COPY_OF: original["Id"]}


def _with_new_volumes(
    host: dict[str, Any], volumes: Mapping[str, Any] | None, mounts: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """Takes the volumes without a name out of `host`, otherwise both containers would write to the same;
    returns the request for new ones."""
    anonymous = {
        str(mount["Name"]): str(mount.get("Destination"))
        for mount in mounts
        if mount.get("Type") == "volume" and ANONYMOUS.fullmatch(str(mount.get("Name")))
    }
    mine = host.get("Mounts") or ()
    mounted = {mount.get("Target") for mount in mine}
    # They are in there once Compose has recreated the original, which kept its volumes; with Podman always.
    if host.get("Binds"):
        host["Binds"] = [bind for bind in host["Binds"] if bind.split(":")[0] not in anonymous]
    if mine:
        host["Mounts"] = [
            {key: value for key, value in mount.items() if key != "Source"}
            if mount.get("Source") in anonymous
            else mount
            for mount in mine
        ]
    # Podman does not show the request of the original.
    new: dict[str, Any] = {place: {} for place in anonymous.values() if place not in mounted}
    return {**(volumes or {}), **new} if new else volumes


def endpoints_of(original: Mapping[str, Any], name: str, mode: str) -> dict[str, dict[str, Any]]:
    """Returns the connections of a copy with that name, by network."""
    if mode in WITHOUT_ENDPOINTS or mode.startswith(SHARED):
        return {}
    networks = original["NetworkSettings"].get("Networks") or {}
    return {network: _endpoint(original, endpoint or {}, name) for network, endpoint in networks.items()}


def _endpoint(original: Mapping[str, Any], endpoint: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the part of an endpoint that a person has set: the rest is the engine's, such as addresses."""
    own_name = str(original["Name"]).lstrip("/")
    own = {original["Id"][:SHORT], own_name, original["Config"].get("Hostname")}
    had = endpoint.get("Aliases") or []
    aliases = [alias for alias in had if alias not in own]
    # Version 1 of Compose gives no container its name as an alias.
    aliases += [name] if own_name in had else []
    made: dict[str, Any] = {"Aliases": aliases}
    made |= {key: endpoint[key] for key in ("Links", "DriverOpts", "GwPriority") if endpoint.get(key)}
    local = (endpoint.get("IPAMConfig") or {}).get("LinkLocalIPs")
    # Never the MAC address: the one in use, which the engine would take as wished.
    return made | ({"IPAMConfig": {"LinkLocalIPs": local}} if local else {})
