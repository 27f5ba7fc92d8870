"""What a fleet has of each task, as the rules see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import Phase
from microscaling.scheduler.containers.occupied import NOT_STOPPING, PAUSED, Occupied
from microscaling.scheduler.containers.settling import Settling

if TYPE_CHECKING:
    from microscaling.scheduler.containers.reconciler import Fleet


class Counts:
    """Writes `requested`, `running` and what goes with them to the tasks, counted from the containers."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._settling = {task.name: Settling(task) for task in fleet.tasks.tasks}
        self.occupied = Occupied(fleet.tasks)

    def write(self, task: Task, now: float) -> None:
        """Counts one task, and wakes the engine if there is news."""
        requested = running = stopping = parked = stubborn = paused = 0
        for container in self.fleet.containers[task.name]:
            requested += container.wanted
            if container.paused:
                paused += 1
                continue
            if container.phase in (Phase.RUNNING, Phase.STOPPING):
                running += 1
                stopping += container.unwanted
            elif container.phase is Phase.CREATED or container.relief:
                parked += container.wanted
            stubborn += container.stubborn and container.unwanted and container.may_run
        if self.fleet.away:
            parked = 0  # they wait for the engine, not for a place
        news = (requested, running) != (task.requested, task.running)
        task.requested, task.running = requested, running
        task.stopping, task.parked = stopping, parked
        if self._settling[task.name].look(now) or news:
            self.fleet.tasks.changed.set()
        self.occupied.note(NOT_STOPPING, task.name, stubborn)
        self.occupied.note(PAUSED, task.name, paused)
