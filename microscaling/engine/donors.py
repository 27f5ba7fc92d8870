"""Tasks that can be made to give demand to others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from microscaling.demand.reason import Reason
from microscaling.demand.task import Task

Given = dict[Task, int]
"""Who gave, and how many containers."""


def minimum(task: Task) -> int:
    """What a task is to have at least: its minimum, but never more than its maximum."""
    return max(0, min(task.min_containers, task.max_containers))


def nothing(task: Task) -> int:
    """The floor of tasks that may have to give all."""
    return 0


class Donors:
    """Tasks, the first to give first, and the `floor` that each keeps.

    Those that have nothing more to give are passed for good, so that all the taking together costs
    one walk. Whoever takes must see to it that nobody who was passed gets anything to give again.
    """

    def __init__(self, tasks: Iterable[Task], floor: Callable[[Task], int], rule: str) -> None:
        self.tasks = list(tasks)
        self.floor = floor
        self.rule = rule
        self._next = 0

    def give(self, taker: Task, wants: int, lower_only: bool = True) -> Given:
        """Lowers demand by `wants` containers in all, or by what there is; `lower_only`: only that
        of tasks less important than the taker. Returns who gave what."""
        given: Given = {}
        left = wants
        while left > 0 and self._next < len(self.tasks):
            giver = self.tasks[self._next]
            if lower_only and giver.priority <= taker.priority:
                break
            gives = min(left, giver.demand - self.floor(giver))
            if gives <= 0:
                self._next += 1
                continue
            before = giver.demand
            giver.demand -= gives
            by, was = taker.name, giver.reason
            giver.reason = Reason(self.rule, before, giver.demand, wants, 0, by).on_top_of(was)
            given[giver] = gives
            left -= gives
        return given


def names(given: Given) -> str:
    """Who gave, in short."""
    first = next(iter(given)).name
    return first if len(given) == 1 else f"{first} and {len(given) - 1} more"
