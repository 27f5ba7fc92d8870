"""The back-offs of all tasks: their ends, and the places for their probes."""

from __future__ import annotations

from collections.abc import Iterator

from microscaling.demand import limits
from microscaling.demand.task import Task
from microscaling.scheduler.containers.container import Container
from microscaling.scheduler.containers.crash_backoff import FAILED, HOLDS_S, NO_IMAGE, CrashLoopBackoff
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.occupied import Occupied
from microscaling.scheduler.probes import Probes, gives


class CrashBackoffs:
    """The back-offs of all tasks together, as a probe needs a place under the shared cap."""

    def __init__(self, inventory: Inventory, occupied: Occupied) -> None:
        self.inventory = inventory
        self.probes = Probes(inventory.tasks, occupied)
        self._by_name: dict[str, CrashLoopBackoff] = {}

    def add(self, task: Task) -> None:
        """Adds a task without any failure, or replaces the one with its name."""
        tasks = self.inventory.tasks
        self._by_name[task.name] = CrashLoopBackoff(task, tasks.noun, tasks.nouns)

    def drop(self, name: str) -> None:
        """Drops a task."""
        del self._by_name[name]

    def record_failure(
        self, task: Task, why: str, now: float, exit_code: int | None = None, reason: str = FAILED
    ) -> None:
        """Counts one more failed start of this task."""
        self._by_name[task.name].record_failure(why, now, exit_code, reason)
        if self.inventory.tasks.tally is not None:
            self.inventory.tasks.tally.failed(task.name)

    def starve(self, task: Task, now: float, lack: str = NO_IMAGE) -> None:
        """Backs off, as the image of this task is missing, or something else that it needs."""
        self._by_name[task.name].starve(now, lack)

    def supplied(self, task: Task) -> None:
        """Ends that back-off, as it is available again."""
        self._by_name[task.name].supplied()
        self.inventory.tasks.changed.set()

    def wake(self, name: str) -> None:
        """Ends a back-off for lack of work, as there is work again."""
        if self._by_name[name].wake():
            self.inventory.tasks.changed.set()

    def of(self, name: str) -> CrashLoopBackoff:
        """Returns the back-off of one task."""
        return self._by_name[name]

    def apply(self, task: Task) -> None:
        """Limits the demand of a task that backs off, and then keeps a place for its probe."""
        limit, backoff = self._limit(task), self._by_name[task.name]
        held = task.demand > limit and limits.hold_at(task, limit, backoff.why)
        if held and backoff.ran and not task.resting and not self._restarting(task):
            self.probes.keep_place(task)

    def _limit(self, task: Task) -> int:
        """Returns the limit of a task that backs off: its running containers, and one more for a probe."""
        books = self.inventory.books
        runs = [c for c in books.restless(task.name) if c.wanted and c.is_up]
        probing = self._by_name[task.name].probing and all(c.stable for c in runs)
        return books.resting(task.name) + len(runs) + (probing or self._restarting(task))

    def _restarting(self, task: Task) -> bool:
        """True if the engine is about to start a container of this task again, which is the probe then."""
        return any(c.restarting and c.wanted for c in self.inventory.books.restless(task.name))

    def check(self, now: float) -> None:
        """Ends the back-offs of tasks with a stable container, and starts the probes that are due."""
        for name in self.inventory.books.with_resting():
            self._by_name[name].ran = True
        for container in self.inventory.restless():
            if container.is_fresh:  # what only loads proves nothing
                continue
            if not container.stable and container.is_up and container.started is not None:
                container.stable = self.inventory.alive_at(container, now) - container.started >= HOLDS_S
                if container.stable:
                    self._by_name[container.task.name].held()
            if container.stable and container.is_up:
                self._by_name[container.task.name].ran = True
        for backoff in self._by_name.values():
            if backoff.open and self._is_stable(backoff, now):
                backoff.stable()
            self.probes.review(backoff.task)
            if backoff.due(now) and not self.inventory.draining:
                self._try_again(backoff)
            elif backoff.probing and self._crowded(backoff.task):
                backoff.suspend()
            elif backoff.probing and self._is_met(backoff.task):
                backoff.held()

    def _is_met(self, task: Task) -> bool:
        """True if the containers of a task that have proved themselves are all that it is to have."""
        # One that was about to go, and is wanted again, takes the place of a probe; none would prove itself.
        books = self.inventory.books
        trying = any(container.wanted for container in books.restless(task.name))
        return not trying and 0 < task.demand <= books.resting(task.name)

    def excuse(self, since: float) -> None:
        """Forgives the failures of an outage: the engine was away from `since` (monotonic seconds) on. Later
        failures of the present containers are forgiven, too."""
        for backoff in self._by_name.values():
            backoff.excuse(since)
        for container in self.inventory.all():
            container.outage = True
        self.inventory.tasks.changed.set()

    def times(self) -> Iterator[float]:
        """Yields the times at which `check` may have work, monotonic seconds."""
        for backoff in self._by_name.values():
            if backoff.task.backing_off and not backoff.probing:
                yield backoff.until
            if backoff.open:
                running = [c for c in self.inventory.containers[backoff.task.name] if c.is_up]
                yield from (c.started + HOLDS_S for c in running if not c.stable and c.started is not None)
                yield from (_steady_since(c, backoff) + backoff.stable_s for c in running)

    def _is_stable(self, backoff: CrashLoopBackoff, now: float) -> bool:
        """True if a container has run for long enough since the last failure."""
        return not backoff.task.backing_off and any(
            self.inventory.alive_at(c, now) - _steady_since(c, backoff) >= backoff.stable_s
            for c in self.inventory.containers[backoff.task.name]
            if c.is_up and not c.is_fresh
        )

    def _try_again(self, backoff: CrashLoopBackoff) -> None:
        task = backoff.task
        self.inventory.tasks.changed.set()
        self.probes.let_go(task)
        if self._restarting(task):  # it has a place, and the engine chooses the time
            backoff.probing = True
            return
        donor = self._donor(backoff)
        if donor is task or task.requested >= task.max_containers:
            backoff.suspend()
            return
        backoff.probing = True
        limit = self._limit(task)
        if limit > task.demand:
            limits.try_again(task, limit, donor)

    def _donor(self, backoff: CrashLoopBackoff) -> Task | None:
        """Returns the task that gives its place to a probe; None if a place is free; the task itself if there
        is no place, and the common rules decide."""
        task, tasks = backoff.task, self.inventory.tasks
        if self.probes.has_place():
            return None
        remainder = self.probes.remainder_for(task)
        if remainder is not None:
            return remainder
        # A measured task does work, so it gives only to a task that has never run since the start: the least
        # important one above its minimum.
        able = [t for t in tasks.by_priority() if t.is_scalable and not t.backing_off]
        donor = next((t for t in reversed(able) if min(t.demand, t.requested) > t.min_containers), None)
        return donor if donor and not backoff.ran and gives(donor, task) else task

    def _crowded(self, task: Task) -> bool:
        """True if more is requested than the cap allows, and this task has no claim to its part of it."""
        return self.inventory.tasks.check_capacity() < 0 and task.requested > task.min_containers


def _steady_since(container: Container, backoff: CrashLoopBackoff) -> float:
    """Returns the later of the container's start and its task's last failure."""
    return backoff.failed_at if container.started is None else max(container.started, backoff.failed_at)
