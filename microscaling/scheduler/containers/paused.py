"""Containers paused from outside: they keep their place under the cap, and do no work."""

from __future__ import annotations

import logging

from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.inventory import Inventory

log = logging.getLogger("mssscheduler")


class Paused:
    """Logs them, and stops them when their task wants no containers.

    A paused container counts neither as requested nor as running, so another one does its work. After it is
    thawed it counts again; as the newest go first, the other one is stopped.
    """

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory

    def note(self, container: Container, paused: bool) -> None:
        """Takes a change between paused and running."""
        if container.paused == paused or container.phase not in (Phase.RUNNING, Phase.STOPPING):
            return
        container.paused = paused
        named = container.task.name, self.inventory.tasks.noun, container.short_id
        if paused:
            log.warning(
                "%s: %s %s is paused from outside: it keeps its place under the cap, and does not "
                "count as running",
                *named,
            )
        else:
            log.info("%s: %s %s is no longer paused", *named)

    def give(self, task: Task, wanted: int) -> None:
        """Stops the paused containers of a task that wants none. A back-off keeps them."""
        if wanted or task.backing_off or self.inventory.leaving or not self.inventory.acting:
            return
        for container in self.inventory.books.restless(task.name):
            container.unwanted = container.unwanted or container.paused
