"""The back-offs of all tasks: their ends, and the places for their probes."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from microscaling.demand.reason import TRY, TRY_GAVE, TRY_TOOK, Reason
from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import Container, Phase
from microscaling.scheduler.containers.crash_backoff import HOLDS_S, CrashLoopBackoff
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.occupied import KEPT, Occupied

log = logging.getLogger("mssscheduler")


class CrashBackoffs:
    """The back-offs of all tasks together, as a probe needs a place under the shared cap."""

    def __init__(self, inventory: Inventory, occupied: Occupied) -> None:
        self.inventory = inventory
        self.occupied = occupied
        tasks = inventory.tasks
        self._by_name = {task.name: CrashLoopBackoff(task, tasks.noun, tasks.nouns) for task in tasks.tasks}

    def record_failure(self, task: Task, why: str, now: float) -> None:
        """Counts one more failed start of this task."""
        self._by_name[task.name].record_failure(why, now)

    def starve(self, task: Task) -> None:
        """Backs off, as the image of this task is missing."""
        self._by_name[task.name].starve()

    def supplied(self, task: Task) -> None:
        """Ends that back-off, as the image is available again."""
        self._by_name[task.name].supplied()
        self.inventory.tasks.changed.set()

    def wake(self, name: str) -> None:
        """Ends a back-off for lack of work, as there is work again."""
        if self._by_name[name].wake():
            self.inventory.tasks.changed.set()

    def of(self, name: str) -> CrashLoopBackoff:
        """Returns the back-off of one task."""
        return self._by_name[name]

    def limit(self, task: Task) -> int:
        """Returns the limit of a task that backs off: its running containers, and one more for a probe."""
        runs = [c for c in self.inventory.containers[task.name] if c.wanted and c.phase is Phase.RUNNING]
        return len(runs) + (self._by_name[task.name].probing and all(c.stable for c in runs))

    def check(self, now: float) -> None:
        """Ends the back-offs of tasks with a stable container, and starts the probes that are due."""
        for container in self.inventory.all():
            if not container.stable and container.phase is Phase.RUNNING and container.started is not None:
                container.stable = self.inventory.alive_at(container, now) - container.started >= HOLDS_S
                if container.stable:
                    self._by_name[container.task.name].held()
            if container.stable and container.phase is Phase.RUNNING:
                self._by_name[container.task.name].ran = True
        for trouble in self._by_name.values():
            if trouble.open and self._is_stable(trouble, now):
                trouble.stable()
            if self.occupied.of(KEPT, trouble.task.name) and not self._keeps(trouble.task):
                self._let_go(trouble.task)
            if trouble.due(now) and not self.inventory.draining:
                self._try_again(trouble)
            elif trouble.probing and self._crowded(trouble.task):
                trouble.suspend()

    def excuse(self, since: float) -> None:
        """Forgives the failures of an outage: the engine was away from `since` (monotonic seconds) on. Later
        failures of the present containers are forgiven, too."""
        for trouble in self._by_name.values():
            trouble.excuse(since)
        for container in self.inventory.all():
            container.outage = True
        self.inventory.tasks.changed.set()

    def times(self) -> Iterator[float]:
        """Yields the times at which `check` may have work, monotonic seconds."""
        for trouble in self._by_name.values():
            if trouble.task.backing_off and not trouble.probing:
                yield trouble.until
            if trouble.open:
                running = [
                    c for c in self.inventory.containers[trouble.task.name] if c.phase is Phase.RUNNING
                ]
                yield from (c.started + HOLDS_S for c in running if not c.stable and c.started is not None)
                yield from (_steady_since(c, trouble) + trouble.stable_s for c in running)

    def _is_stable(self, trouble: CrashLoopBackoff, now: float) -> bool:
        """True if a container has run for long enough since the last failure."""
        return not trouble.task.backing_off and any(
            self.inventory.alive_at(c, now) - _steady_since(c, trouble) >= trouble.stable_s
            for c in self.inventory.containers[trouble.task.name]
            if c.phase is Phase.RUNNING
        )

    def keep_place(self, task: Task) -> None:
        """Keeps a place for the probe of a task, just after a back-off has lowered its demand."""
        trouble, tasks = self._by_name[task.name], self.inventory.tasks
        others = sum(_counted(other) for other in tasks.tasks if other is not task)
        free = others + task.demand < tasks.places()
        # Otherwise a probe would stop a working container. Not for a task that never ran, nor if a remainder
        # can give a place at any time, or another task has it already.
        if trouble.ran and free and task.demand < task.max_containers and not self._soaks_up(task):
            self.occupied.note(KEPT, task.name, 1)

    def _let_go(self, task: Task) -> None:
        """Releases the kept place."""
        self.occupied.note(KEPT, task.name, 0)

    def _keeps(self, task: Task) -> bool:
        """True if the place stays kept: a more important task that is short gets it, unless this one is below
        its minimum."""
        if not task.backing_off or task.demand < task.min_containers:
            return task.backing_off
        return not any(
            other.priority < task.priority and other.scale_up_count() > 0 and not other.is_remainder()
            for other in self.inventory.tasks.tasks
            if other.is_scalable and not other.backing_off and not other.held
        )

    def _try_again(self, trouble: CrashLoopBackoff) -> None:
        task = trouble.task
        self.inventory.tasks.changed.set()
        self._let_go(task)
        giver = self._giver(trouble)
        if giver is task or task.requested >= task.max_containers:
            trouble.suspend()
            return
        trouble.probing = True
        limit = self.limit(task)
        if limit <= task.demand:
            return
        if giver is None:
            task.reason = Reason(TRY, task.demand, limit)
        else:
            more = limit - task.demand
            after = giver.demand - more
            giver.reason = Reason(TRY_GAVE, giver.demand, after, more, 0, task.name)
            log.info("%s: %d -> %d (%s)", giver.name, giver.demand, after, giver.reason)
            giver.demand = after
            task.reason = Reason(TRY_TOOK, task.demand, limit, more, 0, giver.name)
        log.info("%s: %d -> %d (%s)", task.name, task.demand, limit, task.reason)
        task.demand = limit

    def _giver(self, trouble: CrashLoopBackoff) -> Task | None:
        """Returns the task that gives its place to a probe; None if a place is free; the task itself if there
        is no place, and the common rules decide."""
        task, tasks = trouble.task, self.inventory.tasks
        if sum(map(_counted, tasks.tasks)) < tasks.places():
            return None
        soaks_up = self._soaks_up(task)
        if soaks_up is not None:
            return soaks_up
        # A measured task does work, so it gives only to a task that has never run since the start: the least
        # important one above its minimum.
        able = [t for t in tasks.by_priority() if t.is_scalable and not t.backing_off]
        giver = next((t for t in reversed(able) if min(t.demand, t.requested) > t.min_containers), None)
        return giver if giver and not trouble.ran and _gives(giver, task) else task

    def _soaks_up(self, task: Task) -> Task | None:
        """Returns the least important remainder that can give this task a place."""
        for other in reversed(self.inventory.tasks.by_priority()):
            able = other.is_remainder() and other.is_scalable and not other.backing_off
            if able and other.demand > max(0, other.min_containers) and _gives(other, task):
                return other
        return None

    def _crowded(self, task: Task) -> bool:
        """True if more is requested than the cap allows, and this task has no claim to its part of it."""
        return self.inventory.tasks.check_capacity() < 0 and task.requested > task.min_containers


def _gives(giver: Task, task: Task) -> bool:
    """True if the giver comes after the task, or the task is below its minimum. A held giver gives only to a
    more important task that is measured."""
    comes_first = giver.priority > task.priority
    entitled = comes_first or task.requested < task.min_containers
    return entitled and (not giver.held or (comes_first and not task.held))


def _counted(task: Task) -> int:
    return max(task.demand, task.requested)


def _steady_since(container: Container, trouble: CrashLoopBackoff) -> float:
    """Returns the later of the container's start and its task's last failure."""
    return trouble.struck if container.started is None else max(container.started, trouble.struck)
