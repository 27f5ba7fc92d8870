"""The services of a Docker Swarm that labels make tasks."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from microscaling.clients.docker.reader import EngineReader
from microscaling.clients.docker.swarm import (
    ENABLE,
    MODES,
    SwarmService,
    folded,
    is_enabled,
    is_own,
    node_of,
    service_of,
)
from microscaling.config.services.cluster import UNSIZED, Reserved, cap_of, reserved_by
from microscaling.config.services.discovery import Service
from microscaling.config.services.names import PREFIX
from microscaling.demand.task import Task
from microscaling.errors import UNEXPECTED
from microscaling.utils.text import one_line

log = logging.getLogger("mssconfig")

WITHIN_S = 8.0
IN_CONTAINER = (
    "service %s: %s is a label of its containers, which does not count: write it under `deploy: labels:` of "
    "the stack file, or use `docker service update --label-add`"
)


class SwarmDiscovery:
    """Finds the services of one swarm that have the label, again and again. `connect` returns a reader;
    `by_nodes`: the cap is that of the nodes, so each service needs a reservation."""

    def __init__(self, connect: Callable[[], EngineReader], by_nodes: bool = False) -> None:
        self._connect = connect
        self.by_nodes = by_nodes
        self._reader: EngineReader | None = None
        self._said: set[str] = set()
        """Ids of services whose containers have the label."""
        self._scaled: dict[str, Reserved] = {}
        """By id of each service that is scaled, what one of its containers reserves."""

    def services(self) -> list[Service]:
        """Returns the services, by name. Raises the errors of the library."""
        if self._reader is None:
            self._reader = self._connect()
        found, self._scaled = [], {}
        for item in self._reader.listed("/services", time.monotonic() + WITHIN_S):
            service = _read(item)
            if service is None:
                continue
            if _has_label(service.labels):
                task = _with_task(service, item)
                reserved = reserved_by(item["Spec"].get("TaskTemplate") or {})
                if self.by_nodes and not reserved and not task.refusal:
                    task = replace(task, refusal=UNSIZED)
                elif is_enabled(service.labels) and not task.refusal:
                    self._scaled[service.id] = reserved
                found.append(task)
            # A common mistake: in a file for Compose they stand there.
            elif _has_label(service.container_labels) and service.id not in self._said:
                self._said.add(service.id)
                log.warning(IN_CONTAINER, one_line(service.name), ENABLE)
        return sorted(found, key=lambda service: service.name)

    def cap(self) -> int:
        """Returns how many containers of the services found last the nodes have room for. Raises the errors
        of the library."""
        if self._reader is None:
            self._reader = self._connect()
        until = time.monotonic() + WITHIN_S
        nodes = [node_of(item) for item in self._reader.listed("/nodes", until)]
        filters = json.dumps({"desired-state": ["running"]})
        tasks = self._reader.listed("/tasks", until, filters=filters)
        # What has been placed, as only that takes room; tasks of the scaled services are what is counted.
        others = [
            (str(task.get("NodeID") or ""), reserved_by(task["Spec"]))
            for task in tasks
            if task.get("ServiceID") not in self._scaled
        ]
        return cap_of(nodes, self._scaled.values(), others)

    def close(self) -> None:
        """Closes the connection; the next look opens a new one."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def problems_in_swarm(task: Task, labels: Mapping[str, str]) -> Iterator[str]:
    """Yields everything in a task that a swarm cannot do. What only the metric implies is left out."""
    if task.drain_keys:
        keys = ", ".join(task.drain_keys)
        yield f"{keys}: in a swarm nobody can choose the container that goes: leave out the labels for it"
    if task.web is not None:
        yield f"{PREFIX}web: a swarm takes its own names away and gives them: leave it out"
    if getattr(task.metric, "of_containers", False):
        yield f"{PREFIX}metric: {task.metric.type_name} sees only the containers of one machine: use another"
    # Without these a decrease would wait for idle containers that nobody can choose.
    task.busy = task.drain = None


def problems_outside_swarms(task: Task, labels: Mapping[str, str]) -> Iterator[str]:
    """Yields the labels that have a meaning only in a swarm."""
    for label in sorted(labels):
        if is_own(label):
            yield f"{one_line(label)}: is for MSS_SCHEDULER=SWARM: leave it out"


def _read(item: Any) -> SwarmService | None:
    try:
        return service_of(item)
    except UNEXPECTED as error:
        log.debug("skipped in the listing of services: %r", error)
        return None


def _has_label(labels: Mapping[str, str]) -> bool:
    return any(folded(label) == ENABLE for label in labels)


def _with_task(service: SwarmService, item: Mapping[str, Any]) -> Service:
    mode = MODES.get(service.mode, f"of the mode {service.mode}")
    return Service(
        name=service.name,
        labels={label: text for label, text in service.labels.items() if label.casefold().startswith(PREFIX)},
        stop_grace_s=service.stop_grace_s,
        image=service.image,
        most=None,
        reasons=(),
        refusal="" if service.replicas is not None else f"it is {mode}; only replicated services are scaled",
        notes=tuple(_notes(item)),
        running=service.replicas or 0,
    )


def _notes(item: Mapping[str, Any]) -> Iterator[str]:
    ports = ((item["Spec"].get("EndpointSpec") or {}).get("Ports")) or ()
    taken = [
        str(p["PublishedPort"]) for p in ports if p.get("PublishMode") == "host" and p.get("PublishedPort")
    ]
    if taken:
        listed = ", ".join(taken)
        yield f"it publishes port {listed} in the mode `host`, so each node has a place for one container"
