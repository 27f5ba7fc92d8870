"""`microscaling check` with a Docker engine: itself, and the images, networks, volumes and ports of the
tasks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from microscaling.clients.docker.client import connect
from microscaling.clients.docker.errors import said
from microscaling.clients.docker.images import has, is_id
from microscaling.clients.docker.unreachable import is_hopeless
from microscaling.demand import limits
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import UNEXPECTED, ConfigError
from microscaling.scheduler.docker.body import LABEL
from microscaling.settings import Settings
from microscaling.utils.finding import Finding, error, ok, warning
from microscaling.utils.text import quoted

TIMEOUT_S = 10
REGISTRY_TIMEOUT_S = 30
MAX_SKEW_S = 5.0
"""A larger difference (seconds) between the two clocks is a warning."""
ALWAYS_THERE = ("", "bridge", "default", "host", "none", "private")
FAILURES = (DockerException, requests.exceptions.RequestException, OSError, *UNEXPECTED)


def examine(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterator[Finding]:
    """Yields the findings about the engine and all that the tasks need there, and counts their containers."""
    return on_engine(settings, partial(_look, settings, tasks))


def on_engine(settings: Settings, look: Callable[[docker.APIClient], Iterator[Finding]]) -> Iterator[Finding]:
    """Yields the findings about the engine itself, and then those of `look`. Raises ConfigError if no agent
    can use it."""
    s = settings
    try:
        client = connect(
            s.docker_host, s.docker_tls_verify, s.docker_cert_path, TIMEOUT_S, chosen=s.docker_chosen
        )
    except FAILURES as failure:
        about = f"Docker engine {s.docker_host}: {said(failure)}"
        if is_hopeless(failure):
            raise ConfigError(about) from None
        yield error(about)
        return
    try:
        yield from _of_engine(client, s.docker_host)
        yield from look(client)
    except FAILURES as failure:
        yield error(f"Docker engine {s.docker_host}: {said(failure)}")
    finally:
        client.close()


def _look(settings: Settings, tasks: Tasks, client: docker.APIClient) -> Iterator[Finding]:
    listed = client.containers(all=True)
    count(tasks, listed, lambda labels: labels.get(LABEL, ""))
    for task in tasks.tasks:
        if task.max_containers and task.image:
            yield from _image(client, task, settings.pull_images)
            yield from _networks(client, task)
            yield from _volumes(client, task)
    yield from _ports(tasks.tasks, listed)


def _of_engine(client: docker.APIClient, host: str) -> Iterator[Finding]:
    version = client.version()
    yield ok(f"Docker engine {host}: version {version.get('Version')}, API {client.api_version}")
    asked = time.time()
    try:
        now = datetime.fromisoformat(client.info()["SystemTime"][:19] + "+00:00").timestamp()
    except FAILURES:
        return  # a proxy may forbid it, and Podman has no such field
    # It has looked at its clock between the two: a busy engine takes some seconds for this answer.
    skew = now - min(max(now, asked), time.time())
    if abs(skew) > MAX_SKEW_S:
        ahead = "ahead of" if skew > 0 else "behind"
        yield warning(
            f"Docker engine {host}: its clock is {abs(skew):.0f} s {ahead} this one: set both by NTP"
        )


def count(tasks: Tasks, listed: list[dict[str, Any]], task_of: Callable[[Mapping[str, Any]], str]) -> None:
    """Sets the numbers of the tasks to those of the containers that run; `task_of` finds the name of the task
    in a container's labels."""
    running = Counter(task_of(one.get("Labels") or {}) for one in listed if one.get("State") == "running")
    with tasks:
        for task in tasks.tasks:
            task.running = task.requested = running[task.name]
            limits.adopt(task, running[task.name])


def _image(client: docker.APIClient, task: Task, pulls: bool) -> Iterator[Finding]:
    """Yields a finding if the engine lacks the image; whether a registry has it is asked by the engine."""
    if has(client, task.image):
        return
    lacks = f"{task.name}: config.image: {quoted(task.image)} is not on the engine"
    if is_id(task.image):
        yield error(f"{lacks}, and an id cannot be pulled: load it, or give the name of an image")
    elif not pulls:
        yield error(f"{lacks}, and MSS_PULL_IMAGES is false: docker pull {task.image}, or build it")
    else:
        yield _pullable(client, task, lacks)


def _pullable(client: docker.APIClient, task: Task, lacks: str) -> Finding:
    # The engine asks the registry meanwhile, which may be far away.
    client.timeout = REGISTRY_TIMEOUT_S
    try:
        client.inspect_distribution(task.image)  # type: ignore[no-untyped-call]
    except FAILURES as failure:
        return error(f"{lacks}, and cannot be pulled: {said(failure)}")
    finally:
        client.timeout = TIMEOUT_S
    return warning(f"{lacks} yet: it is pulled at the start, before the first container")


def _networks(client: docker.APIClient, task: Task) -> Iterator[Finding]:
    for name in {task.network_mode, *task.container.networks}:
        if name in ALWAYS_THERE or name.startswith(("container:", "ns:")):
            continue
        if not _is_there(client.inspect_network, name):
            lacks = f"{task.name}: config.networks: there is no network {quoted(name)}"
            yield error(f"{lacks}: docker network create {name}")


def _volumes(client: docker.APIClient, task: Task) -> Iterator[Finding]:
    for mount in task.container.mounts:
        named = mount.kind == "volume" and mount.source
        if named and not _is_there(client.inspect_volume, named):
            lacks = f"{task.name}: config.volumes: there is no volume {quoted(named)}"
            yield warning(f"{lacks}: the engine makes an empty one; is it the right name?")


def _is_there(inspect: Callable[[str], object], name: str) -> bool:
    """Returns whether the engine has a thing of this name; True if it does not tell."""
    try:
        inspect(name)
    except NotFound:
        return False
    except APIError:
        return True  # a proxy may forbid the question
    return True


def _ports(tasks: list[Task], listed: list[dict[str, Any]]) -> Iterator[Finding]:
    """Yields a finding for each fixed port of the host that another task wants, or another container has."""
    taken = [
        (port["PublicPort"], port.get("Type"), port.get("IP") or "", _owner(one))
        for one in listed
        for port in one.get("Ports") or ()
        if port.get("PublicPort")
    ]
    wanted: list[tuple[int, str, str, str]] = []
    for task in tasks:
        fixed = [port for port in task.container.ports if port.host and "-" not in port.host]
        for port in fixed if task.max_containers else ():
            number, kind, ip = int(port.host), port.protocol, port.host_ip
            place = f"{task.name}: config.ports: the host's port {port.host}"
            # The ports of this task's own containers are no obstacle: these are counted, or replaced.
            others = [
                [who for n, k, at, who in have if (n, k) == (number, kind) and who != task.name
                 and _collide(at, ip)]
                for have in (wanted, taken)
            ]  # fmt: skip
            wanted.append((number, kind, ip, task.name))
            if others[0]:
                yield error(f"{place} is that of {others[0][0]}, too: change one")
            elif others[1]:
                yield error(f"{place} is taken by {others[1][0]}: change it, or stop that")


def _owner(one: dict[str, Any]) -> str:
    """Returns the task of a listed container, or its own name."""
    name = str((one.get("Names") or ["?"])[0]).lstrip("/")
    return (one.get("Labels") or {}).get(LABEL, "") or f"container {name}"


def _collide(one: str, other: str) -> bool:
    """Returns whether one port cannot be listened at on both addresses of the host; "" is all of them."""
    if not (one and other):
        return True
    try:
        first, second = ip_address(one), ip_address(other)
    except ValueError:  # an engine of another kind may say it in its own words
        return True
    everywhere = first.is_unspecified or second.is_unspecified
    return first.version == second.version and (first == second or everywhere)
