"""Containers that somebody has paused: they keep their place under the cap, and do no work."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import Container, Phase

if TYPE_CHECKING:
    from microscaling.scheduler.containers.reconciler import ContainerReconciler

log = logging.getLogger("mssscheduler")


class Paused:
    """Names them, and gives them when nothing else of their task is left to give.

    A paused container counts neither as requested nor as running, so another one does its work. Once it is
    thawed it counts again, and as the newest go first, it is the other one that goes.
    """

    def __init__(self, reconciler: ContainerReconciler) -> None:
        self.reconciler = reconciler

    def note(self, container: Container, paused: bool) -> None:
        """Somebody has frozen it, or thawed it."""
        if container.paused == paused or container.phase not in (Phase.RUNNING, Phase.STOPPING):
            return
        container.paused = paused
        name, id = container.task.name, container.short_id
        if paused:
            log.warning(
                "%s: container %s is paused by somebody: it keeps its place under the cap, and does not "
                "count as one that runs",
                name,
                id,
            )
        else:
            log.info("%s: container %s is no longer paused", name, id)

    def give(self, task: Task, wanted: int) -> None:
        """The task is to have so many containers: if none, its paused ones go as well. A back-off is no
        reason: it keeps what there is."""
        if wanted or task.backing_off or self.reconciler.leaving or not self.reconciler.acting:
            return
        for container in self.reconciler.containers[task.name]:
            container.unwanted = container.unwanted or container.paused
