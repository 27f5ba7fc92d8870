"""Donors: tasks that give demand to others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from microscaling.demand.reason import Reason
from microscaling.demand.task import Task

Given = dict[Task, int]
"""Containers given, by donor."""


def minimum(task: Task) -> int:
    """Returns the floor of a task: its minimum, but not more than the most that it can have."""
    return max(0, min(task.min_containers, task.most()))


def nothing(task: Task) -> int:
    """Returns 0, the floor of tasks that may have to give everything."""
    return 0


class Donors:
    """Tasks in the order in which they give, and the `floor` that each keeps."""

    def __init__(self, tasks: Iterable[Task], floor: Callable[[Task], int], rule: str) -> None:
        self.tasks = list(tasks)
        self.floor = floor
        self.rule = rule
        # A donor with nothing left is passed for good, so all the taking costs one walk. The caller must
        # not give anything to a donor that has been passed.
        self._next = 0

    def give(self, taker: Task, wants: int, lower_only: bool = True) -> Given:
        """Lowers demand by `wants` containers in all, or by as many as the donors have; with `lower_only`
        only the demand of tasks less important than the taker. Returns the containers given by each donor."""
        given: Given = {}
        left = wants
        while left > 0 and self._next < len(self.tasks):
            donor = self.tasks[self._next]
            if lower_only and donor.priority <= taker.priority:
                break
            gives = min(left, donor.demand - self.floor(donor))
            if gives <= 0:
                self._next += 1
                continue
            before = donor.demand
            donor.demand -= gives
            by, was = taker.name, donor.reason
            donor.reason = Reason(self.rule, before, donor.demand, wants, 0, by).on_top_of(was)
            given[donor] = gives
            left -= gives
        return given


def names(given: Given) -> str:
    """Returns the donors' names in short; empty if there are none."""
    if not given:
        return ""
    first = next(iter(given)).name
    return first if len(given) == 1 else f"{first} and {len(given) - 1} more"
