"""The containers of a task, for people to read."""

from __future__ import annotations

from microscaling.demand.shown import ContainerView
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.inventory import Inventory


def views(inventory: Inventory, name: str, now: float) -> list[ContainerView]:
    """Returns the containers of the task with that name, oldest first, at `now` (monotonic seconds). The
    caller holds the lock."""
    # As in the engine's own listing, and so that the newest, which go first, are at the end.
    found = sorted(inventory.containers.get(name, ()), key=lambda container: container.order)
    return [
        ContainerView(
            container.short_id,
            container.name,
            _state(container),
            None if container.started is None else now - container.started,
        )
        for container in found
    ]


def _state(container: Container) -> str:
    if container.phase is Phase.RUNNING:
        if container.unwanted or container.outdated:
            return "stopping"
        if container.restarting:
            return "restarting"
        return "paused from outside" if container.paused else "running"
    if container.phase is Phase.CREATED:
        return "waits for a place"
    return str(container.phase.value)
