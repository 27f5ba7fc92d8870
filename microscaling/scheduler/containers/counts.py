"""The counts of each task's containers, as the rules use them."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import PARKED, STILL, Phase
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.occupied import KEPT, NOT_STOPPING, PAUSED, Occupied
from microscaling.scheduler.settling import Settling

UP = frozenset({Phase.RUNNING, Phase.STOPPING, Phase.FREEZING})
"""What runs, and what runs as long as it takes to end or freeze it."""


class Counts:
    """Writes `requested`, `running` and the related counts to the tasks, always from the containers."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self._settling: dict[str, Settling] = {}
        self.occupied = Occupied(inventory.tasks)

    def add(self, task: Task) -> None:
        """Adds a task, or replaces the one with its name."""
        self._settling[task.name] = Settling(task)

    def drop(self, name: str) -> None:
        """Drops a task, and its places that cannot be shared out."""
        del self._settling[name]
        for why in (NOT_STOPPING, PAUSED, KEPT):
            self.occupied.note(why, name, 0)

    def write(self, task: Task, now: float) -> None:
        """Counts one task, and signals the demand engine after a change."""
        stopping = parked = stubborn = paused = frozen = loading = warm_bytes = 0
        requested = running = self.inventory.books.resting(task.name)
        for container in self.inventory.books.restless(task.name):
            requested += container.wanted
            if container.paused:
                paused += 1
                continue
            frozen += container.phase in STILL
            if container.warm:
                warm_bytes += container.memory or 0
                continue
            if container.phase in UP and not container.restarting:
                running += 1
                stopping += container.unwanted or container.outdated
                loading += container.wanted and container.is_fresh
            elif container.phase in PARKED or container.relief or container.restarting:
                parked += container.wanted
            stubborn += container.stubborn and container.unwanted and container.may_run
        if self.inventory.away:
            parked = 0  # these wait for the engine, not for a place
        news = (requested, running) != (task.requested, task.running)
        task.requested, task.running = requested, running
        task.stopping, task.parked, task.frozen = stopping, parked, frozen
        task.loading, task.warm_bytes = loading, warm_bytes
        if self._settling[task.name].look(now) or news:
            self.inventory.tasks.changed.set()
        self.occupied.note(NOT_STOPPING, task.name, stubborn)
        self.occupied.note(PAUSED, task.name, paused)
