"""Where the rules come to rest: no queue that waits is left without a container, no empty one keeps them.

The Go agent's rules round small errors to no change, so a short queue can be left with no container for
ever, and an empty one with all that it has. Pure; the caller holds the lock of `Tasks`.
"""

from __future__ import annotations

from collections.abc import Iterable

from microscaling.demand.reason import BACK, IDLE, LAST, LAST_GAVE, LAST_TOOK, Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.donors import Donors, Given, minimum, names
from microscaling.engine.guard import counted

NEVER = float("-inf")
GAP_S = 2.0
"""A task that was not measured for longer begins its idle time anew."""


class Rest:
    """How long one task's queue has been empty.

    `seconds`: how long it has to be before containers are given back. Nothing is given back within the
    task's scale-down window, nor on a single measurement of a source that is asked now and then.
    """

    __slots__ = ("idle", "last", "seconds", "since", "task")

    def __init__(self, task: Task, window_s: float) -> None:
        self.task = task
        self.seconds = max(task.idle_s, window_s, task.metric.interval_s)
        self.since = self.last = NEVER
        self.idle = False
        """It has been empty for so long, and no job runs."""

    def look(self, now: float) -> None:
        """Right after measuring, at `now` (seconds): bends the ideal where the rule rests too high or too
        low. Only a reading counts: one that is missing neither fills the time nor ends it at once."""
        task = self.task
        self.idle = False
        if task.held or task.falling_back:
            return
        if task.metric.current > 0:
            self.last = NEVER
            if task.ideal_containers < 1:
                task.ideal_containers = 1
            return
        if now - self.last > GAP_S:
            self.since = now
        self.last = now
        if task.metric.in_flight:  # the last one is at work, though nothing waits
            task.ideal_containers = max(task.ideal_containers, 1)
        elif now - self.since >= self.seconds and task.requested > minimum(task):
            self.idle = True
            task.ideal_containers = min(task.ideal_containers, task.requested - 1)

    def explain(self) -> None:
        """After allocating: an idle task that gives back says so in its reason."""
        task, reason = self.task, self.task.reason
        if reason is not None and reason.rule == BACK and reason.after == task.demand:
            wants = round(self.seconds)
            task.reason = Reason(IDLE, reason.before, reason.after, wants, 0, "", task.target)

    def lacks_one(self) -> bool:
        """Whether something waits, and something may work on it; asked of tasks without demand."""
        task = self.task
        return (
            task.metric.current > 0
            and not task.held
            and not task.falling_back
            and not task.backing_off
            and task.is_scalable
            and min(task.max_containers, task.max_delta) > 0
        )


class Rests:
    """All tasks with a queue. `default_window_s`: the window of tasks that have none of their own."""

    def __init__(self, tasks: Iterable[Task], default_window_s: float = 0.0) -> None:
        self._rests = [
            Rest(task, default_window_s if task.scale_down_window_s is None else task.scale_down_window_s)
            for task in tasks
            if not task.is_remainder()
        ]

    def look(self, now: float) -> None:
        """Between measuring and allocating, after the windows."""
        for rest in self._rests:
            rest.look(now)

    def fill(self, tasks: Tasks) -> bool:
        """After the guard: one container for each task that has none while something waits. Returns
        whether any demand changed.

        It comes from what is free, but for what more important tasks are still short of (others have
        just given it for them), else from less important tasks that are above their minimum.
        """
        lacking = set()
        for rest in self._rests:
            if rest.idle:
                rest.explain()
            if rest.task.demand <= 0 and rest.lacks_one():  # few have none: thousands need no call
                lacking.add(rest.task)
        if not lacking:
            return False
        order = tasks.by_priority()
        free = tasks.places() - sum(map(counted, order))
        givers = Donors(filter(_may_give, reversed(order)), minimum, LAST_GAVE)
        changed = False
        for task in order:
            if task not in lacking:
                free -= _short(task)
                continue
            given: Given = {} if free > 0 else givers.give(task, 1)
            if free > 0 or given:
                _take(task, free, given)
                free -= (not given) + _short(task)
                changed = True
        return changed


def _may_give(task: Task) -> bool:
    return task.is_scalable and not task.backing_off


def _short(task: Task) -> int:
    """How many more a task will take as soon as they are free."""
    if not task.settled or task.held or task.backing_off or not task.is_scalable or task.is_remainder():
        return 0
    return max(0, task.requested + task.scale_up_count() - task.demand)


def _take(task: Task, free: int, given: Given) -> None:
    before, task.demand = task.demand, 1
    current, was = task.metric.current, task.reason
    if given:
        reason = Reason(LAST_TOOK, before, 1, 1, free, names(given), task.target, current)
    else:
        reason = Reason(LAST, before, 1, 1, free, "", task.target, current)
    task.reason = reason.on_top_of(was)
