"""The replacement of containers that are of an earlier configuration of their task.

Pure: no I/O, no clock, no threads. Times are monotonic seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from microscaling.demand.task import Task
from microscaling.errors import PermanentError
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.crash_backoff import CrashLoopBackoff
from microscaling.scheduler.containers.inventory import Inventory

log = logging.getLogger("mssscheduler")

RESTART = "restart"
"""In place of the version of a container that a person wants to have replaced."""
PROGRESS = "{} of {} of an earlier configuration are replaced"
SAID_S = 60.0
"""Seconds without progress until it is logged."""


class Updates:
    """Has them replaced a few at a time: the new one first, the old one first where the cap is full.

    `stale` returns the ids of all containers that are to go; `is_ready` is true for a new one that does its
    work. `within_s`: after so many seconds the last of them is stopped, even if the new ones do not run;
    None: if new ones fail, the others stay, until the task has another version or is restarted.
    """

    def __init__(
        self,
        inventory: Inventory,
        stale: Callable[[], Collection[str]],
        is_ready: Callable[[str], bool],
        within_s: float | None = None,
    ) -> None:
        self.inventory = inventory
        self.stale = stale
        self.is_ready = is_ready
        self.within_s = within_s
        self._halted: dict[str, str] = {}
        """By task, the version whose containers fail."""
        self._moved: dict[str, tuple[float, int]] = {}
        """By task, the time of the last progress, and how many were stale then."""
        self.backoff_of: Callable[[str], CrashLoopBackoff]
        """Returns the back-off of a task; set if `within_s` is None."""
        self._began: dict[str, tuple[float, int]] = {}
        """By task, the time of the first look at its stale copies, and how many there were."""

    def look(self, now: float) -> None:
        """Marks the copies that go now. To be called often, and before `reconcile`."""
        stale = self.stale()
        here = self.inventory.by_name
        self._began = {name: begun for name, begun in self._began.items() if name in here}
        self._halted = {
            name: v for name, v in self._halted.items() if name in here and here[name].version == v
        }
        for name, task in here.items():
            mine = self.inventory.containers[name]
            for container in mine:
                if container.renewed:  # mostly none, and an assignment has its price
                    container.renewed = False
            if name in self._halted:
                continue
            for container in mine:
                # One that is on its way out does not come back in the place of a new one: it would have to go
                # again, and a drain would begin anew each time.
                container.outdated = (container.outdated or container.unwanted) and container.id in stale
            old = [c for c in mine if c.id in stale and not (c.unwanted or c.warm)]
            for container in [c for c in old if c.phase in (Phase.CREATING, Phase.CREATED)]:
                container.unwanted = container.outdated = True  # it serves no request yet
                old.remove(container)
            if old and self.within_s is None and task.backing_off:
                self._stays(task, old)
            elif old:
                self._replace(task, sorted(old, key=lambda c: c.order), now)
            elif self._began.pop(name, None) is not None:
                self._say_done(task)
            else:
                task.rolling = ""

    @property
    def rolling(self) -> bool:
        """True while any are replaced: then listings are worth more."""
        return bool(self._began)

    def restart(self, name: str) -> int:
        """Has all containers of a task replaced, also if its new ones failed before; returns how many. Raises
        PermanentError for a task of no containers of ours."""
        task = self.inventory.by_name.get(name)
        if task is None or not task.version or not self.inventory.has(name):
            raise PermanentError(f"{name}: is no task of containers that the agent makes")
        self._halted.pop(name, None)
        self.backoff_of(name).forgive()
        mine = [c for c in self.inventory.containers[name] if c.id and not c.unwanted]
        for container in mine:
            container.version = RESTART
        if mine:
            task.rolling = PROGRESS.format(0, len(mine))
        return len(mine)

    def _stays(self, task: Task, old: Collection[Container]) -> None:
        """Leaves the old ones, as the new ones fail."""
        for container in old:
            container.outdated = False
        backoff = self.backoff_of(task.name)
        if backoff.starving:
            return  # it goes on as soon as the image is there
        self._halted[task.name] = task.version
        self._began.pop(task.name, None)
        why = f": {task.failure.why}" if task.failure else ""
        task.rolling = f"its new containers fail, so {len(old)} of the earlier configuration stay"
        log.error(
            "%s: the replacement is stopped, as its new containers fail%s; %d of the earlier configuration "
            "stay; mend the configuration, or try again with: microscaling restart %s",
            task.name, why, len(old), task.name,
        )  # fmt: skip
        backoff.suspend()  # those that it has do their work

    def _say_done(self, task: Task) -> None:
        if self.within_s is None:
            task.rolling = ""
            self._moved.pop(task.name, None)
            log.info("%s: all are of the present configuration", task.name)

    def _say(self, task: Task, left: int, count: int, now: float) -> None:
        """Notes the progress, and after a while logs that there is none."""
        task.rolling = PROGRESS.format(count - left, count)
        since, before = self._moved.get(task.name, (now, left))
        if left != before:
            since = now
        elif now - since >= SAID_S:
            since = now
            ready = "" if task.warm is None else "show that it is ready, as warmAfter has it, and then "
            log.warning("%s: %s; the next one waits for a new one to %sbe healthy, or up for 5 s",
                        task.name, task.rolling, ready)  # fmt: skip
        self._moved[task.name] = since, left

    def _replace(self, task: Task, old: list[Container], now: float) -> None:
        if task.name not in self._began:
            log.info("%s: %d of an earlier configuration are replaced, %d at a time",
                     task.name, len(old), task.update_parallel)  # fmt: skip
        began, count = self._began.get(task.name, (now, 0))
        count = max(count, len(old))
        self._began[task.name] = began, count
        if self.within_s is None:
            self._say(task, len(old), count, now)
        if now < self.inventory.quiet.get(task.name, now) or task.name in self.inventory.resting:
            return
        # If the task needs fewer meanwhile, the old ones go: they would be replaced anyway.
        for container in self.inventory.containers[task.name]:
            container.renewed = container.is_up and container not in old and self.is_ready(container.id)
        # One that does no work costs nothing, and may be the reason for the change.
        old.sort(key=lambda c: (not c.outdated, self.is_ready(c.id)))
        waiting, missing = sum(c.outdated for c in old), self._missing(task, {c.id for c in old})
        if not task.backing_off:
            for container in old[waiting : waiting + max(0, task.update_parallel - missing)]:
                container.outdated = True
                waiting, missing = waiting + 1, missing + 1
        replaced = max(waiting - missing, self._parked(task))
        late = 0 if self.within_s is None else int(count * (now - began) / self.within_s) - (count - len(old))
        for container in old[: max(late, min(waiting, replaced))]:
            container.outdated = container.unwanted = True

    def _missing(self, task: Task, old: Collection[str]) -> int:
        """Returns how many containers the task lacks that run and are to stay. `old`: those that are to go,
        whose health is no reason to wait."""
        mine = [c for c in self.inventory.containers[task.name] if c.wanted and c.is_up]
        # One that was not told go does no work, healthy or not.
        works = [c for c in mine if c.naming.listed is not False and not c.is_fresh]
        ready = [c for c in works if self.is_ready(c.id)]
        return max(0, task.demand - len({c.id for c in ready}.union(c.id for c in mine if c.id in old)))

    def _parked(self, task: Task) -> int:
        """Returns how many new ones wait for the place of an old one."""
        if self.inventory.room() > 0 and self.inventory.has_room(task):
            return 0
        mine = self.inventory.containers[task.name]
        return sum(c.wanted and c.phase is Phase.CREATED and not c.busy for c in mine)


def stale_in(inventory: Inventory) -> set[str]:
    """Returns the ids of the containers that are of another version than their task."""
    return {
        c.id for c in inventory.all() if c.id and c.version and c.task.version and c.version != c.task.version
    }


def is_ready(inventory: Inventory, id: str) -> bool:
    """True for a container that is healthy, or has been up for 5 s if it has no health check."""
    container = inventory.by_id.get(id)
    if container is None:
        return False
    # Only a listing shows whether there is one.
    listed = container.started is None or container.seen > container.started
    return container.stable and listed if container.healthy is None else container.healthy
