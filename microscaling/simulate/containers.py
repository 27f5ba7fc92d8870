"""A simulated scheduler: it starts and stops the containers of all tasks, each after its latency."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

from microscaling.demand.limits import adopt
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.simulate.queue import SimulatedQueue


@dataclass(eq=False)
class Group:
    """The containers of one task, by their state; the newest last."""

    task: Task
    queue: SimulatedQueue | None
    parked: list[int] = field(default_factory=list)
    """They wait for a place under the cap."""
    starting: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    stopping: list[int] = field(default_factory=list)
    starts: int = 0
    stops: int = 0
    container_s: float = 0.0
    """Seconds of all containers that ran, those being stopped included."""


class SimulatedContainers:
    """Carries out the demand of all tasks: the cap holds at every instant, the newest containers go first,
    and a container that is stopped ends its job.

    `start_s` and `stop_s` are latencies in seconds.
    """

    def __init__(
        self, tasks: Tasks, queues: dict[str, SimulatedQueue], start_s: float, stop_s: float
    ) -> None:
        self.tasks = tasks
        self.start_s, self.stop_s = start_s, stop_s
        self.groups = [Group(task, queues.get(task.name)) for task in tasks.tasks]
        self.now = 0.0
        self._events: list[tuple[float, int, Group, bool]] = []
        """Time, number of a container, its task, and whether it has started (or gone)."""
        self._numbers = itertools.count()

    def begin(self, group: Group, count: int) -> None:
        """Gives a task containers that run already."""
        for _ in range(count):
            number = next(self._numbers)
            group.running.append(number)
            if group.queue is not None:
                group.queue.add(number)
        adopt(group.task, count)
        self._report(group)

    def next_event(self) -> float:
        """Returns the time of the next start or end of a container; infinity if there is none."""
        return self._events[0][0] if self._events else float("inf")

    def advance(self, until: float) -> bool:
        """Moves on to that time, which is not after the next event. Returns True if a container has started
        or gone."""
        passed = until - self.now
        for group in self.groups:
            if passed:
                group.container_s += passed * (len(group.running) + len(group.stopping))
            if group.queue is not None:
                group.queue.advance(until)
        self.now = until
        moved = False
        while self._events and self._events[0][0] <= until:
            _, number, group, started = heapq.heappop(self._events)
            # One that was taken back before it began has no queue to leave.
            if started and number in group.starting:  # it may have been taken back
                group.starting.remove(number)
                group.running.append(number)
                group.running.sort()
                if group.queue is not None:
                    group.queue.add(number)
                moved = True
            elif not started:
                group.stopping.remove(number)
                moved = True
        return moved

    def carry_out(self) -> None:
        """Starts and stops containers until each task has its demand, as far as the cap allows now."""
        for group in self.groups:
            self._go(group)
        free = self.tasks.max_containers - sum(
            len(group.starting) + len(group.running) + len(group.stopping) for group in self.groups
        )
        # A place that is free now goes to the most important task, as in the real reconciler.
        for group in sorted(self.groups, key=lambda group: group.task.priority):
            more = group.task.demand - len(group.starting) - len(group.running) - len(group.parked)
            group.parked += [next(self._numbers) for _ in range(more)]
            while group.parked and free > 0:
                free -= 1
                number = group.parked.pop(0)
                group.starting.append(number)
                group.starts += 1
                heapq.heappush(self._events, (self.now + self.start_s, number, group, True))
            self._report(group)

    def _go(self, group: Group) -> None:
        # First those that do not work yet, then the newest, as the real scheduler does.
        fewer = len(group.starting) + len(group.running) + len(group.parked) - group.task.demand
        for _ in range(max(0, fewer)):
            if group.parked:
                group.parked.pop()
                continue
            group.stops += 1
            if group.starting:
                group.starting.pop()
                continue
            number = group.running.pop()
            group.stopping.append(number)
            end = self.now if group.queue is None else group.queue.remove(number)
            heapq.heappush(self._events, (end + self.stop_s, number, group, False))

    def _report(self, group: Group) -> None:
        task = group.task
        task.parked, task.stopping = len(group.parked), len(group.stopping)
        task.running = len(group.running) + task.stopping
        task.requested = len(group.running) + len(group.starting) + task.parked

    def report(self) -> None:
        """Writes the numbers of containers to the tasks."""
        for group in self.groups:
            self._report(group)
