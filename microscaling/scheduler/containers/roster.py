"""The tasks of a reconciler, which come, change and go while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.counts import Counts
from microscaling.scheduler.containers.crash_backoffs import CrashBackoffs
from microscaling.scheduler.containers.ends import Ends
from microscaling.scheduler.containers.inventory import Inventory


class Roster:
    """Adds and drops everything that the parts of a reconciler know of a task. The caller holds the lock of
    `Tasks`."""

    def __init__(
        self, inventory: Inventory, counts: Counts, crash_backoffs: CrashBackoffs, ends: Ends
    ) -> None:
        self.inventory = inventory
        self.crash_backoffs = crash_backoffs
        self._parts = (inventory, counts, crash_backoffs, ends)
        for task in inventory.tasks.tasks:
            self._add(task)

    def take(self, change: Change, is_others: Callable[[Container], bool]) -> None:
        """Takes over a change of the configuration, after `Tasks` has. `is_others`: whether a container is
        not the agent's to remove."""
        for name in (change.gone | change.left) & self.inventory.by_name.keys():
            self._depart(name, _runs if name in change.left else is_others)
        for task in self.inventory.tasks.tasks:
            if self.inventory.by_name.get(task.name) is not task:
                self._add(task)
        self.inventory.books.anew(self.inventory.all())  # a task may have become a web task

    def versions(self) -> dict[str, str]:
        """Returns the version of each task."""
        return {name: task.version for name, task in self.inventory.by_name.items()}

    def renew(self, before: Mapping[str, str]) -> None:
        """Takes over the other versions that tasks have since `before`: what has failed was of another."""
        for name, task in self.inventory.by_name.items():
            if before.get(name, task.version) == task.version:
                continue
            self.crash_backoffs.of(name).forgive()
            for container in self.inventory.containers[name]:
                if container.id and not container.version:  # of an agent that gave none
                    container.version = before[name]

    def clear_up(self) -> None:
        """Drops the departing tasks whose containers have all gone."""
        for name in [name for name in self.inventory.departing if not self.inventory.containers[name]]:
            self.inventory.departing.remove(name)
            for part in self._parts:
                part.drop(name)

    def _add(self, task: Task) -> None:
        self.inventory.departing.discard(task.name)  # it has come back before its last container was gone
        for part in self._parts:
            part.add(task)

    def _depart(self, name: str, stays: Callable[[Container], bool]) -> None:
        for container in list(self.inventory.containers[name]):
            if stays(container):
                self.inventory.forget(container)
            else:
                container.unwanted = True
        task = self.inventory.by_name[name]
        task.backing_off = False
        self.inventory.resting.discard(name)
        for part in self._parts[1:]:  # otherwise its back-off would go on to look for a place
            part.drop(name)
            part.add(task)
        self.inventory.departing.add(name)


def _runs(container: Container) -> bool:
    return container.phase is Phase.RUNNING
