"""The containers of a task, for people to read."""

from __future__ import annotations

from collections.abc import Callable

from microscaling.demand.drain import Activity
from microscaling.demand.shown import ContainerView
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.utils.text import span

FRESH_S = 10.0
"""An older look is not shown."""


def views(
    inventory: Inventory, name: str, now: float, deadline: Callable[[Container], float] | None = None
) -> list[ContainerView]:
    """Returns the containers of the task with that name, oldest first, at `now` (monotonic seconds);
    `deadline` returns the end of a drain. The caller holds the lock."""
    # As in the engine's own listing, and so that the newest, which go first, are at the end.
    found = sorted(inventory.containers.get(name, ()), key=lambda container: container.order)
    return [
        ContainerView(
            container.short_id,
            container.name,
            _state(container) + _at_work(container, deadline, now),
            None if container.started is None else now - container.started,
            _activity(container, now),
        )
        for container in found
    ]


def _at_work(container: Container, deadline: Callable[[Container], float] | None, now: float) -> str:
    """Returns the activity in words, with its duration, and the end of the drain at the latest."""
    parts = []
    activity = _activity(container, now)
    if activity:
        parts.append(f"{activity} for {span(now - container.watch.since)}")
    if container.is_draining and (container.task.drain or container.task.web) and deadline is not None:
        parts.append(f"at most {span(deadline(container) - now)}")
        parts += [] if container.holds_place else ["beyond the cap"]
    return f" ({', '.join(parts)})" if parts else ""


def _activity(container: Container, now: float) -> str:
    watch = container.watch
    fresh = container.is_up and now - watch.looked < FRESH_S
    if container.task.busy is None or not fresh or watch.activity is Activity.UNSEEN:
        return ""
    return str(watch.activity.value)


def _state(container: Container) -> str:
    if container.warm:
        return "warm" if container.phase is Phase.FROZEN else "becomes warm"
    if container.phase is Phase.RUNNING:
        if container.is_draining and (container.task.drain or container.task.web):
            return "draining"
        if container.unwanted or container.outdated:
            return "stopping"
        if container.restarting:
            return "restarting"
        if container.naming.listed is False:
            return "not listed yet"
        if container.is_fresh and not container.paused:
            return "waits for go"
        return "paused from outside" if container.paused else "running"
    if container.phase is Phase.CREATED:
        return "waits for a place"
    return str(container.phase.value)
