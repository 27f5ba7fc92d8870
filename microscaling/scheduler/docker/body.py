"""The request to create a task's container on a Docker engine."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from microscaling.clients.docker.labels import LABEL
from microscaling.demand.container import Mount, Port
from microscaling.demand.drain import Way
from microscaling.demand.task import Task

__all__ = ["AGENT_LABEL", "LABEL", "NONCE_LABEL", "NUMBER_LABEL", "create_body"]

NONCE_LABEL = "com.microscaling.nonce"
"""Identifies the create call behind a container, so that a listing or an event can be matched to it."""

AGENT_LABEL = "com.microscaling.agent"
"""The id of the agent that created it, the same in all its lives: see agent_id.py."""
NUMBER_LABEL = "com.microscaling.number"
"""Its number among the containers of its task, which its name ends in."""

VERSION_LABEL = "com.microscaling.version"
"""Stands for all that it was made from: with another one than its task it is replaced."""


def version_of(task: Task) -> str:
    """Returns the version of a task: a hash of its request, without what differs from container to container.
    Called before the agent's own environment is added, which may be another one at each start."""
    body = create_body(task, "")
    if "Hostname" not in task.container.request:
        body.pop("Hostname", None)
    body |= {"Labels": dict(task.container.labels), "Env": sorted(task.env), "": task.container.networks}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def create_body(task: Task, nonce: str, agent: str = "", number: int = 0) -> dict[str, Any]:
    """Returns the body of POST /containers/create (Docker Engine API v1.41).

    Without options in the configuration it is the Go agent's: image, command, environment, label, network
    mode and publishing of all ports.
    """
    options = task.container
    host: dict[str, Any] = {
        "NetworkMode": options.networks[0] if options.networks else task.network_mode,
        "PublishAllPorts": task.publish_all_ports,
    }
    marks = {LABEL: task.name, NONCE_LABEL: nonce}
    marks |= {AGENT_LABEL: agent} if agent else {}
    marks |= {NUMBER_LABEL: str(number)} if number else {}
    marks |= {VERSION_LABEL: task.version} if task.version else {}
    body: dict[str, Any] = {
        "Image": task.image,
        "Env": list(task.env),
        "Labels": {**options.labels, **marks},
        "HostConfig": host,
    }
    if task.busy is not None and task.busy.way is Way.SOURCE and host["NetworkMode"] == "host":
        body["Hostname"] = _own_host_name(task, nonce)
    command = options.command or task.command.split()
    if command:
        body["Cmd"] = [*command]
    if options.user:
        body["User"] = options.user
    if options.ports:
        body["ExposedPorts"] = {_exposed(port): {} for port in options.ports}
        host["PortBindings"] = _bindings(options.ports)
    host["Binds"] = [_bind(mount) for mount in options.mounts if mount.kind == "bind"]
    host["Mounts"] = [_mount(mount) for mount in options.mounts if mount.kind != "bind"]
    if options.memory:
        host["Memory"] = options.memory
    if options.cpus:
        host["NanoCpus"] = round(options.cpus * 1e9)
    for place, value in options.request.items():
        of, _, name = place.rpartition(".")
        (host if of else body)[name] = value
    return body


def _own_host_name(task: Task, nonce: str) -> str:
    """Returns a host name for a container on the host's network, where all would have the machine's."""
    # Linux takes 64 characters, and some programs cut a name at its first dot.
    name = re.sub("[^a-z0-9]+", "-", task.name.lower()).strip("-")[:40]
    return f"{name or 'worker'}-{hashlib.sha256(nonce.encode()).hexdigest()[:12]}"


def _exposed(port: Port) -> str:
    return f"{port.container}/{port.protocol}"


def _bindings(ports: tuple[Port, ...]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        bindings.setdefault(_exposed(port), []).append({"HostIp": port.host_ip, "HostPort": port.host})
    return bindings


def _bind(mount: Mount) -> str:
    """Formats a bind mount."""
    # As a bind, a missing folder of the host is created, as with Compose; as a Mount it would be an error.
    return f"{mount.source}:{mount.target}" + (":ro" if mount.read_only else "")


def _mount(mount: Mount) -> dict[str, Any]:
    # Unlike a bind, which is a folder if there is no such file: a secret must not be an empty folder.
    kind = "bind" if mount.kind == "file" else mount.kind
    body: dict[str, Any] = {"Type": kind, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.source:
        body["Source"] = mount.source
    return body
