"""`microscaling check` with services of a Docker Swarm: the engine, the nodes, the services and the lease."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import docker

from microscaling.clients.docker.reader import EngineReader
from microscaling.clients.docker.swarm import COUNT, node_of
from microscaling.demand import limits
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError, PermanentError
from microscaling.scheduler.docker.examine import on_engine
from microscaling.scheduler.replicas.examine import examine_lease
from microscaling.scheduler.replicas.orchestrator import Found
from microscaling.scheduler.swarm.lease_config import ConfigLease
from microscaling.scheduler.swarm.orchestrator import SwarmOrchestrator
from microscaling.settings import Settings
from microscaling.utils.finding import Finding, error, ok, warning
from microscaling.utils.text import few, one_line


def examine(settings: Settings, lease: str, tasks: Tasks) -> Iterator[Finding]:
    """Yields the findings about the swarm, its services and its lease ("": none), and counts the replicas of
    the services."""
    return on_engine(settings, partial(_look, settings, lease, tasks))


def _look(settings: Settings, lease: str, tasks: Tasks, client: docker.APIClient) -> Iterator[Finding]:
    yield from _of_nodes(client)
    s = settings
    engine = (s.docker_host, s.docker_tls_verify, s.docker_cert_path, s.docker_chosen)
    with contextlib.closing(SwarmOrchestrator(*engine)) as swarm:
        yield from _of_services(swarm, tasks)
    if lease:
        with contextlib.closing(ConfigLease(EngineReader(*engine), lease)) as store:
            yield from examine_lease(store, lease)


def _of_nodes(client: docker.APIClient) -> Iterator[Finding]:
    listed = client.nodes()
    nodes = {_name(item): node_of(item) for item in listed}
    ready = [name for name, node in nodes.items() if node.ready and node.takes_tasks]
    down = [name for name, node in nodes.items() if not node.ready]
    of_all = f"{len(ready)} of {len(nodes)} nodes {'is' if len(nodes) == 1 else 'are'} ready and active"
    yield ok(f"swarm: {of_all}") if ready else error(f"swarm: {of_all}: no task has a place")
    if down:
        yield warning(f"swarm: not ready: {few(sorted(down))}; docker node ls shows them")


def _name(item: dict[str, object]) -> str:
    description = item.get("Description")
    host = description.get("Hostname") if isinstance(description, dict) else None
    # Two nodes may have one host name.
    return f"{one_line(str(host or 'node'))} ({str(item['ID'])[:8]})"


def _of_services(swarm: SwarmOrchestrator, tasks: Tasks) -> Iterator[Finding]:
    try:
        found = swarm.read([task.name for task in tasks.tasks])
    except MicroscalingError as failure:
        yield error(f"{swarm.name}: {failure}")
        return
    with tasks:
        # Before any number is worked out: these places are not to be shared.
        tasks.outside = swarm.outside
        findings = [finding for task in tasks.tasks for finding in _of_task(task, found[task.name])]
        wanted = sum(task.requested for task in tasks.tasks)
        running = sum(task.running for task in tasks.tasks)
    yield from findings
    yield ok(f"services: {running} of {wanted} replicas run")
    if swarm.outside:
        yield ok(f"services with the label {COUNT}: {swarm.outside} places under the cap are theirs")


def _of_task(task: Task, found: Found) -> Iterator[Finding]:
    if found is None:
        yield error(f"{task.name}: the swarm has no service of this name, and the agent makes none")
    elif isinstance(found, PermanentError):
        yield error(f"{task.name}: {found}")
    else:
        task.requested, task.running = found.requested, found.running
        limits.adopt(task, found.requested)
        if found.update:
            yield warning(f"{task.name}: {found.update}")
        if found.pending:
            yield warning(f"{task.name}: {found.unplaced}")
