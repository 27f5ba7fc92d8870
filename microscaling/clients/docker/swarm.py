"""Services, tasks and nodes of a Docker Swarm, as a manager describes them (Docker Engine API, /services,
/tasks and /nodes)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microscaling.clients.docker.stat import seconds_of
from microscaling.utils.values import YES

REPLICATED = "Replicated"
MODES = {
    "Global": "a global service, which has one task on each node and no number of replicas",
    "ReplicatedJob": "a job: any change of a job runs all of it again",
    "GlobalJob": "a job: any change of a job runs all of it again",
}
"""Modes that cannot be scaled, in words."""
UNDER_WAY = {
    "updating": "it is being updated",
    "paused": "its update is paused",
    "rollback_started": "its update is being rolled back",
    "rollback_paused": "the roll-back of its update is paused",
}
"""States of an update during which a scale would end or resume it, in words."""
ENABLE = "microscaling.enable"
DURING_UPDATE = "microscaling.during-update"
SCALE, HOLD = "scale", "hold"
COUNT = "microscaling.count"
OWN = (DURING_UPDATE, COUNT)
"""Labels for the agent that are no keys of a task."""
GRACE_S = 10.0
"""Seconds that the engine waits for the end of a container without a StopGracePeriod."""
OUT_OF_SEQUENCE = "out of sequence"
"""In the answer to an update at another version than the present one."""
READY, UNKNOWN = "ready", "unknown"
"""States of nodes; the others are down and disconnected."""
MAX_REPLICAS = 2**31 - 1
MAX_SHOWN = 100


@dataclass(frozen=True, slots=True)
class SwarmService:
    """One version of a service."""

    id: str
    name: str
    version: int
    replicas: int | None
    """None: it is of a mode without a number."""
    mode: str
    update: str = ""
    """Why it must not be scaled now, in words; empty if no update is under way, or its label allows it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    container_labels: Mapping[str, str] = field(default_factory=dict)
    stop_grace_s: float = GRACE_S
    image: str = ""


@dataclass(frozen=True, slots=True)
class SwarmTask:
    """One task of a service, in one of its states."""

    id: str
    service: str
    node: str
    desired: str
    state: str
    at: float | None
    """Time of its state by the clock of the swarm, seconds since 1970."""
    error: str


@dataclass(frozen=True, slots=True)
class SwarmNode:
    """One node of the swarm."""

    id: str
    ready: bool
    """As far as the swarm knows: it is not down."""
    takes_tasks: bool
    """It is active: neither drained nor paused."""
    nano_cpus: int = 0
    memory: int = 0
    """Bytes."""
    confirmed: bool = True
    """It has reported to the managers that lead now."""


def service_of(found: Mapping[str, Any]) -> SwarmService:
    """Parses a service. Raises LookupError, TypeError, AttributeError or ValueError for anything else."""
    spec = found["Spec"]
    modes = [mode for mode in spec["Mode"] if spec["Mode"][mode] is not None]
    mode = str(modes[0]) if modes else REPLICATED
    labels = texts(spec.get("Labels"))
    container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
    grace = container.get("StopGracePeriod")
    return SwarmService(
        id=str(found["ID"]),
        name=str(spec["Name"]),
        version=version_of(found),
        replicas=replicas_of(spec),
        mode=mode,
        update=update_of(found.get("UpdateStatus"), labels),
        labels=labels,
        container_labels=texts(container.get("Labels")),
        stop_grace_s=GRACE_S if grace is None else float(grace) / 1e9,
        image=str(container.get("Image") or "").partition("@")[0],
    )


def version_of(found: Mapping[str, Any]) -> int:
    """Returns the version of an object of the swarm. Raises as `service_of`."""
    version = found["Version"]["Index"]
    if type(version) is not int or version < 0:
        raise ValueError(f"Version.Index is {version!r:.40}")
    return version


def replicas_of(spec: Mapping[str, Any]) -> int | None:
    """Returns the number of replicas in a spec; None for a mode that has none. Raises as `service_of`."""
    replicated = spec["Mode"].get(REPLICATED)
    if replicated is None:
        return None
    count = replicated.get("Replicas")
    if count is None:
        return 1  # the engine's default
    if type(count) is not int or not 0 <= count <= MAX_REPLICAS:
        raise ValueError(f"Replicas is {count!r:.40}")
    return count


def update_of(status: Any, labels: Mapping[str, str]) -> str:
    """Returns why a service with this UpdateStatus must not be scaled; "" if it may be."""
    if not isinstance(status, Mapping):
        return ""
    words = UNDER_WAY.get(str(status.get("State")), "")
    if not words or during_update(labels) == SCALE:
        return ""
    message = " ".join(str(status.get("Message") or "").split())[:MAX_SHOWN]
    why = f" ({message})" if message and "paused" in words else ""
    return f"{words}{why}, and is not scaled until that has ended"


def during_update(labels: Mapping[str, str]) -> str:
    """Returns the value of the label for what happens during an update: SCALE, HOLD, or something else that a
    person wrote; HOLD without it."""
    found = [text for label, text in labels.items() if folded(label) == folded(DURING_UPDATE)]
    return found[0].strip().lower() if found else HOLD


def is_counted(labels: Mapping[str, str]) -> bool:
    """True for a service whose tasks take places under the cap, though it is not scaled."""
    return _is_true(labels, COUNT)


def is_enabled(labels: Mapping[str, str]) -> bool:
    """True for a service that is to be scaled."""
    return _is_true(labels, ENABLE)


def _is_true(labels: Mapping[str, str], name: str) -> bool:
    values = [text for label, text in labels.items() if folded(label) == folded(name)]
    return any(value.strip().lower() in YES for value in values)


def is_own(label: str) -> bool:
    """True for a label that is for the agent and is no key of a task."""
    return folded(label) in map(folded, OWN)


def folded(label: str) -> str:
    """Returns a label without the differences between kebab-case and camelCase."""
    return label.replace("-", "").casefold()


def task_of(found: Mapping[str, Any]) -> SwarmTask:
    """Parses a task. Raises as `service_of`."""
    status = found["Status"]
    return SwarmTask(
        id=str(found["ID"]),
        service=str(found.get("ServiceID") or ""),
        node=str(found.get("NodeID") or ""),
        desired=str(found.get("DesiredState") or ""),
        state=str(status["State"]),
        at=seconds_of(status.get("Timestamp")),
        error=" ".join(str(status.get("Err") or "").split()),
    )


def node_of(found: Mapping[str, Any]) -> SwarmNode:
    """Parses a node. Raises as `service_of`."""
    resources = (found.get("Description") or {}).get("Resources") or {}
    state = found["Status"]["State"]
    return SwarmNode(
        id=str(found["ID"]),
        # Managers that have just elected a leader know no node's state, until each has reported. Taken for
        # down, all nodes would be without tasks, and without a place for any.
        ready=state in (READY, UNKNOWN),
        takes_tasks=found["Spec"].get("Availability", "active") == "active",
        nano_cpus=int(resources.get("NanoCPUs") or 0),
        memory=int(resources.get("MemoryBytes") or 0),
        confirmed=state == READY,
    )


def texts(labels: Any) -> dict[str, str]:
    """Returns the labels that are texts."""
    if not isinstance(labels, Mapping):
        return {}
    return {str(label): text for label, text in labels.items() if isinstance(text, str)}
