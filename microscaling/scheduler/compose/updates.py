"""The replacement of copies that are of an earlier configuration of their service.

Pure: no I/O, no clock, no threads. Times are monotonic seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.inventory import Inventory

log = logging.getLogger("mssscheduler")

TOLD_WITHIN_S = 40.0
"""After this time the last of them is stopped, even if the new ones do not run. People may count on 60 s
from the `up` on, of which a pause of Compose's and the way to the engine are a part."""


class Updates:
    """Has them replaced a few at a time: the new one first, the old one first where the cap is full.

    `stale` returns the ids of all copies that are to go; `is_ready` tells of a container that its health
    check is not outstanding.
    """

    def __init__(
        self,
        inventory: Inventory,
        stale: Callable[[], Collection[str]],
        is_ready: Callable[[str], bool],
    ) -> None:
        self.inventory = inventory
        self.stale = stale
        self.is_ready = is_ready
        self._began: dict[str, tuple[float, int]] = {}
        """By task, the time of the first look at its stale copies, and how many there were."""

    def look(self, now: float) -> None:
        """Marks the copies that go now. To be called often, and before `reconcile`."""
        stale = self.stale()
        here = self.inventory.by_name
        self._began = {name: begun for name, begun in self._began.items() if name in here}
        for name, task in here.items():
            mine = self.inventory.containers[name]
            for container in mine:
                container.outdated = container.outdated and container.id in stale
            old = [c for c in mine if c.id in stale and not c.unwanted]
            for container in [c for c in old if c.phase in (Phase.CREATING, Phase.CREATED)]:
                container.unwanted = container.outdated = True  # it serves no request yet
                old.remove(container)
            if old:
                self._replace(task, sorted(old, key=lambda c: c.order), now)
            else:
                self._began.pop(name, None)

    def _replace(self, task: Task, old: list[Container], now: float) -> None:
        if task.name not in self._began:
            log.info("%s: %d of an earlier configuration are replaced, %d at a time",
                     task.name, len(old), task.update_parallel)  # fmt: skip
        began, count = self._began.get(task.name, (now, 0))
        count = max(count, len(old))
        self._began[task.name] = began, count
        if now < self.inventory.quiet.get(task.name, now) or task.name in self.inventory.resting:
            return
        old.sort(key=lambda c: not c.outdated)
        waiting, missing = sum(c.outdated for c in old), self._missing(task)
        if not task.backing_off:
            for container in old[waiting : waiting + max(0, task.update_parallel - missing)]:
                container.outdated = True
                waiting, missing = waiting + 1, missing + 1
        replaced = max(waiting - missing, self._parked(task))
        late = int(count * (now - began) / TOLD_WITHIN_S) - (count - len(old))
        for container in old[: max(late, min(waiting, replaced))]:
            container.outdated = container.unwanted = True

    def _missing(self, task: Task) -> int:
        """Returns how many containers the task lacks that run and are to stay."""
        mine = self.inventory.containers[task.name]
        ready = sum(
            c.wanted and c.is_up and c.naming.listed is not False and self.is_ready(c.id) for c in mine
        )
        return max(0, task.demand - ready)

    def _parked(self, task: Task) -> int:
        """Returns how many new ones wait for the place of an old one."""
        if self.inventory.room() > 0 and self.inventory.has_room(task):
            return 0
        mine = self.inventory.containers[task.name]
        return sum(c.wanted and c.phase is Phase.CREATED and not c.busy for c in mine)
