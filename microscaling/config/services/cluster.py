"""The cap of a cluster: how many containers of the scaled services its nodes have room for.

No I/O. Processor time in billionths of a core, memory in bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from microscaling.clients.docker.swarm import SwarmNode

UNSIZED = (
    "it reserves neither cpus nor memory, which MSS_MAX_CONTAINERS=auto needs: write `deploy: resources: "
    "reservations:` for it"
)


@dataclass(frozen=True, slots=True)
class Reserved:
    """What is kept free for one container of a service."""

    nano_cpus: int = 0
    memory: int = 0

    def __bool__(self) -> bool:
        return self.nano_cpus > 0 or self.memory > 0


def reserved_by(template: Mapping[str, Any]) -> Reserved:
    """Returns the reservations in the spec of a task; none for what is not written there."""
    found = (template.get("Resources") or {}).get("Reservations") or {}
    return Reserved(int(found.get("NanoCPUs") or 0), int(found.get("MemoryBytes") or 0))


def cap_of(
    nodes: Iterable[SwarmNode], scaled: Collection[Reserved], others: Iterable[tuple[str, Reserved]]
) -> int:
    """Returns how many containers fit onto the nodes that are ready and take tasks.

    Each counts as large as the largest of the `scaled` services, so that any mix of them fits. `others`: the
    node of each task of another service, and what it reserves.
    """
    cpus = max((each.nano_cpus for each in scaled), default=0)
    memory = max((each.memory for each in scaled), default=0)
    if not cpus and not memory:
        return 0
    taken: dict[str, Reserved] = {}
    for node, reserved in others:
        before = taken.get(node, Reserved())
        taken[node] = Reserved(before.nano_cpus + reserved.nano_cpus, before.memory + reserved.memory)
    total = 0
    for each in nodes:
        if each.ready and each.takes_tasks:
            used = taken.get(each.id, Reserved())
            # A node that is full of other services takes nothing away from the rest.
            fits = [(each.nano_cpus - used.nano_cpus) // cpus] if cpus else []
            fits += [(each.memory - used.memory) // memory] if memory else []
            total += max(0, min(fits))
    return total
