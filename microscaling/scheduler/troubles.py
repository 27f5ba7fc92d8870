"""The back-offs of a fleet: when they end, and when and where one container is tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from microscaling.demand.reason import Reason
from microscaling.demand.task import Task
from microscaling.scheduler.container import Container, Phase
from microscaling.scheduler.trouble import HOLDS_S, Trouble

if TYPE_CHECKING:
    from microscaling.scheduler.fleet import Fleet


class Troubles:
    """Each task's failed starts, looked at together: a try needs a place under the shared cap."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._by_name = {task.name: Trouble(task) for task in fleet.tasks.tasks}

    def strike(self, task: Task, why: str, now: float) -> None:
        """One more start of this task has failed."""
        self._by_name[task.name].strike(why, now)

    def starve(self, task: Task) -> None:
        """What containers of this task are made of is missing."""
        self._by_name[task.name].starve()

    def supplied(self, task: Task) -> None:
        """It is there again."""
        self._by_name[task.name].supplied()
        self.fleet.tasks.changed.set()

    def wake(self, name: str) -> None:
        """Something waits again, or work was done: a task whose containers found none is tried at once."""
        if self._by_name[name].wake():
            self.fleet.tasks.changed.set()

    def of(self, name: str) -> Trouble:
        """The trouble of one task."""
        return self._by_name[name]

    def limit(self, task: Task) -> int:
        """While a task backs off: what runs, and one more if it is time to try one."""
        runs = [c for c in self.fleet.containers[task.name] if c.wanted and c.phase is Phase.RUNNING]
        return len(runs) + (self._by_name[task.name].probing and all(c.proven for c in runs))

    def check(self, now: float) -> None:
        """Ends the back-off of tasks whose container has stayed up; tries one of those that are due."""
        for container in self.fleet.all():
            if not container.proven and container.phase is Phase.RUNNING and container.started is not None:
                container.proven = self.fleet.alive_at(container, now) - container.started >= HOLDS_S
                if container.proven:
                    self._by_name[container.task.name].held()
        for trouble in self._by_name.values():
            if trouble.open and self._is_stable(trouble, now):
                trouble.stable()
            if trouble.due(now) and not self.fleet.draining:
                self._try_again(trouble)
            elif trouble.probing and self._crowded(trouble.task):
                trouble.stand_by()

    def forgive(self, since: float) -> None:
        """The engine was away since then: the starts that failed meanwhile are not held against their
        tasks, nor is what still fails of the containers that there are."""
        for trouble in self._by_name.values():
            trouble.forgive(since)
        for container in self.fleet.all():
            container.shaken = True
        self.fleet.tasks.changed.set()

    def times(self) -> Iterator[float]:
        """When `check` may have something to do, monotonic seconds."""
        for trouble in self._by_name.values():
            if trouble.task.backing_off and not trouble.probing:
                yield trouble.until
            if trouble.open:
                running = [c for c in self.fleet.containers[trouble.task.name] if c.phase is Phase.RUNNING]
                yield from (c.started + HOLDS_S for c in running if not c.proven and c.started is not None)
                yield from (_steady_since(c, trouble) + trouble.stable_s for c in running)

    def _is_stable(self, trouble: Trouble, now: float) -> bool:
        """Whether a container has been up for long enough since the last failure."""
        return not trouble.task.backing_off and any(
            self.fleet.alive_at(c, now) - _steady_since(c, trouble) >= trouble.stable_s
            for c in self.fleet.containers[trouble.task.name]
            if c.phase is Phase.RUNNING
        )

    def _try_again(self, trouble: Trouble) -> None:
        task = trouble.task
        self.fleet.tasks.changed.set()
        if not self._may_try(task):
            trouble.stand_by()
            return
        trouble.probing = True
        limit = self.limit(task)
        if limit > task.demand:
            task.reason = Reason(f"trying one {self.fleet.tasks.noun} again", task.demand, limit)
            task.demand = limit

    def _crowded(self, task: Task) -> bool:
        """More is asked for than the cap allows, and this task is not entitled to its part of it."""
        return self.fleet.tasks.check_capacity() < 0 and task.requested > task.min_containers

    def _may_try(self, task: Task) -> bool:
        """Whether there is a place for one more: a free one, or one that whoever would have to give way has
        above its minimum. That is the least important of those; it has to be less important than this
        task, unless that is below its minimum, and it must not be held, unless this one comes first and
        is measured. Without a place the rules for all tasks say what becomes of it."""
        tasks = self.fleet.tasks
        if task.requested >= task.max_containers:
            return False
        if sum(max(other.demand, other.requested) for other in tasks.tasks) < tasks.max_containers:
            return True
        able = [t for t in tasks.by_priority() if t.is_scalable and not t.backing_off]
        giver = next((t for t in reversed(able) if t.requested > t.min_containers), None)
        if giver is None:
            return False
        comes_first = giver.priority > task.priority
        entitled = comes_first or task.requested < task.min_containers
        return entitled and (not giver.held or (comes_first and not task.held))


def _steady_since(container: Container, trouble: Trouble) -> float:
    """When it started, or when a container of its task last failed: whichever came later."""
    return trouble.struck if container.started is None else max(container.started, trouble.struck)
