"""The places for the probes of tasks that back off."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.occupied import KEPT, Occupied


class Probes:
    """Finds a place for a probe, or keeps one: a probe takes nothing from a container that works."""

    def __init__(self, tasks: Tasks, occupied: Occupied) -> None:
        self.tasks = tasks
        self.occupied = occupied

    def has_place(self) -> bool:
        """True if a place under the cap is free."""
        return sum(map(_counted, self.tasks.tasks)) < self.tasks.places()

    def remainder_for(self, task: Task) -> Task | None:
        """Returns the least important remainder that can give this task a place."""
        for other in reversed(self.tasks.by_priority()):
            able = other.is_remainder() and other.is_scalable and not other.backing_off
            if able and other.demand > max(0, other.min_containers) and gives(other, task):
                return other
        return None

    def keep_place(self, task: Task) -> None:
        """Keeps a place for the next probe of a task, just after a back-off has lowered its demand."""
        # Without the containers of this task that failed: they are on their way out.
        others = sum(_counted(other) for other in self.tasks.tasks if other is not task)
        free = others + task.demand < self.tasks.places()
        # Not if a remainder can give a place at any time, or another task has it already.
        if free and task.demand < task.max_containers and self._keeps(task) and not self.remainder_for(task):
            self.occupied.note(KEPT, task.name, 1)

    def review(self, task: Task) -> None:
        """Releases the kept place if there is no reason for it any more."""
        if self.occupied.of(KEPT, task.name) and not self._keeps(task):
            self.let_go(task)

    def let_go(self, task: Task) -> None:
        """Releases the kept place."""
        self.occupied.note(KEPT, task.name, 0)

    def _keeps(self, task: Task) -> bool:
        """True if the place stays kept: a more important task that is short gets it, unless this one is below
        its minimum."""
        if not task.backing_off or task.demand < task.min_containers:
            return task.backing_off
        return not any(
            other.priority < task.priority and other.scale_up_count() > 0 and not other.is_remainder()
            for other in self.tasks.tasks
            if other.is_scalable and not other.backing_off and not other.held
        )


def gives(donor: Task, task: Task) -> bool:
    """True if the donor comes after the task, or the task is below its minimum. A held donor gives only to a
    more important task that is measured."""
    comes_first = donor.priority > task.priority
    entitled = comes_first or task.requested < task.min_containers
    return entitled and (not donor.held or (comes_first and not task.held))


def _counted(task: Task) -> int:
    # Demand and `requested` change one after the other, and both may take a place.
    return max(task.demand, task.requested)
