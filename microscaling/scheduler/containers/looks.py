"""The looks at containers: which are due, and the effect of their results.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`; times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from microscaling.demand.drain import Activity, Busy, Way
from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import Container
from microscaling.scheduler.containers.drains import Drains
from microscaling.scheduler.containers.inventory import Inventory

SHOWN_EVERY_S = 2.0
"""Interval of looks that are for people only."""
SHOWN_FOR_S = 5.0
"""For so long after a question for the containers of a task they are looked at."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one container, or at all of a task at once."""

    task: Task
    busy: Busy
    containers: tuple[Container, ...]
    asked: float


class Looks:
    """Decides which containers are looked at: only those of tasks with one that drains, or that a person
    looks at."""

    def __init__(self, inventory: Inventory, drains: Drains) -> None:
        self.inventory = inventory
        self.drains = drains
        self._shown: dict[str, float] = {}
        """By task, the time of the last question for its containers."""
        self._next: float | None = None

    def show(self, name: str, now: float) -> None:
        """Takes a person's question for the containers of a task."""
        self._shown[name] = now

    def due(self, now: float) -> list[Look]:
        """Returns the looks to begin now, each once."""
        inventory = self.inventory
        looks: list[Look] = []
        self._next = None
        if inventory.away or not inventory.acting:
            return looks
        for task in inventory.by_name.values():
            if task.busy is not None:
                looks += self._of(task, task.busy, now)
        for look in looks:
            for container in look.containers:
                container.watch.looking = True
        return looks

    def next_due(self) -> float | None:
        """Returns the time of the next look, as of the last `due`."""
        return self._next

    def take(self, look: Look, found: Mapping[str, Activity], now: float) -> None:
        """Takes the result of a look, by id; a container without one is unknown."""
        for container in look.containers:
            container.watch.looking = False
            # A result from before it was quieted is old news, as a job may have begun since.
            if container.quieted is not None and look.asked < container.quieted:
                continue
            container.watch.take(found.get(container.id, Activity.UNKNOWN), look.asked)

    def _of(self, task: Task, busy: Busy, now: float) -> list[Look]:
        draining = [c for c in self.inventory.books.restless(task.name) if c.is_draining and c.is_up and c.id]
        shown = now - self._shown.get(task.name, float("-inf")) < SHOWN_FOR_S
        if not draining and not shown:
            return []
        up = list(self.drains.running(task))
        # At the begin of a drain the others are looked at too: one of them may be idle.
        since = max((c.drain.since for c in draining if c.drain), default=float("-inf"))
        others = any(self.drains.can_call_off(c) for c in draining)
        every_s = busy.every_s if draining else max(busy.every_s, SHOWN_EVERY_S)
        due = []
        for container in up if others or shown else draining:
            watch = container.watch
            if watch.looking:
                continue

            quieted = container.quieted if container.quieted is not None else float("-inf")
            at = now if watch.looked < max(since, quieted) else watch.looked + every_s
            if at <= now:
                due.append(container)
            else:
                self._next = at if self._next is None else min(self._next, at)
        # A source lists all its consumers in one answer.
        if busy.way is Way.SOURCE:
            return [Look(task, busy, tuple(up), now)] if due and not any(c.watch.looking for c in up) else []
        return [Look(task, busy, (container,), now) for container in due]
