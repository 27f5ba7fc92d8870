"""The end states of the rules: a waiting or taken job keeps a container, an empty queue gives them back.

The Go agent's rules round small errors to no change: a short queue may have no container for ever, and an
empty one may keep all of them. Pure; the caller holds the lock of `Tasks`.
"""

from __future__ import annotations

from collections.abc import Iterable

from microscaling.demand.reason import BACK, IDLE, LAST, LAST_GAVE, LAST_TOOK, TAKEN, TAKEN_TOOK, Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.donors import Donors, Given, minimum, names
from microscaling.engine.guard import counted
from microscaling.engine.taken import Taken

NEVER = float("-inf")
GAP_S = 2.0
"""Seconds without a measurement after which the idle time starts anew."""


class Rest:
    """The idle time of one task: for how long its queue has been empty.

    `seconds`: idle time before containers are given back. It is not shorter than the task's scale-down
    window, nor than the interval of a source that is asked rarely, as one measurement is not enough.
    """

    __slots__ = ("idle", "last", "seconds", "since", "taken", "task")

    def __init__(self, task: Task, window_s: float) -> None:
        self.task = task
        self.seconds = max(task.idle_s, window_s, task.metric.interval_s)
        self.since = self.last = NEVER
        self.idle = False
        """True if the queue has been empty for `seconds`, and no job runs."""
        self.taken = Taken(task)

    def look(self, now: float) -> str:
        """Adjusts the ideal at the rule's end states; called right after measuring, at `now` (seconds).
        Returns a line for the log, mostly empty."""
        task = self.task
        self.idle = False
        # A missing reading neither counts as idle time nor ends it at once.
        if task.held or task.falling_back:
            return ""
        line = self.taken.look(now)
        self._at_its_ends(now)
        if self.taken.paused:  # from which no worker gets a job
            task.ideal_containers = min(task.ideal_containers, task.requested)
        return line

    def _at_its_ends(self, now: float) -> None:
        task = self.task
        if task.metric.waits(task.activation):
            self.last = NEVER
            if task.ideal_containers < 1:
                task.ideal_containers = 1
            return
        if task.requested <= 0 and (task.activation or task.metric.current):
            task.ideal_containers = 0  # too little to begin for
        if task.metric.lacking:  # a part that cannot be read may have work: as if there were no reading
            return
        if now - self.last > GAP_S:
            self.since = now
        self.last = now
        if self.taken.keeps:  # the queue is empty, but its last job still runs
            task.ideal_containers = max(task.ideal_containers, 1)
        elif now - self.since >= max(self.seconds, patience_s := task.target.patience_s()) and (
            task.requested > minimum(task)
        ):
            self.idle = True
            if patience_s:  # the next one goes only after as long again
                self.since = now
            task.ideal_containers = min(task.ideal_containers, task.requested - 1)

    def explain(self) -> None:
        """Gives an idle task the reason IDLE for its decrease; called after the allocation."""
        task, reason = self.task, self.task.reason
        if reason is not None and reason.rule == BACK and reason.after == task.demand:
            wants = round(self.seconds)
            now = task.metric.measured
            task.reason = Reason(IDLE, reason.before, reason.after, wants, 0, "", task.target, measured=now)

    def lacks_one(self) -> bool:
        """True if there are jobs and a container may run for them; called for tasks without demand."""
        task = self.task
        return (
            (task.metric.waits(task.activation) or self.taken.keeps)
            and not self.taken.paused
            and not task.held
            and not task.falling_back
            and not task.backing_off
            and task.is_scalable
            and min(task.most(), task.max_delta) > 0
        )


class Rests:
    """The idle times of all tasks with a queue. `default_window_s`: the scale-down window of tasks without
    one."""

    def __init__(self, tasks: Iterable[Task], default_window_s: float = 0.0) -> None:
        self.default_window_s = default_window_s
        self._rests: list[Rest] = []
        self.follow(tasks, -1)

    def follow(self, tasks: Iterable[Task], since: int) -> None:
        """Takes over the tasks as they are now; the idle times of those that have been the same since that
        generation go on. The caller holds the lock."""
        old = {rest.task: rest for rest in self._rests if rest.task.generation <= since}
        self._rests = [self._rest(task, old.get(task)) for task in tasks if not task.is_remainder()]

    def _rest(self, task: Task, old: Rest | None) -> Rest:
        own_s = task.scale_down_window_s
        rest = Rest(task, self.default_window_s if own_s is None else own_s)
        if old is None:
            return rest
        old.seconds = rest.seconds  # the configuration may have another number
        return old

    def look(self, now: float) -> list[str]:
        """Adjusts all ideals; called between measuring and allocating, after the windows. Returns lines for
        the log."""
        return [line for rest in self._rests if (line := rest.look(now))]

    def fill(self, tasks: Tasks) -> bool:
        """Gives one container to each task without any while it has jobs; called after the guard. Returns
        True if any demand changed.

        The container comes from the free places, except those that more important tasks are still short of,
        else from less important tasks above their minimum.
        """
        lacking = set()
        for rest in self._rests:
            if rest.idle:
                rest.explain()
            if rest.task.demand <= 0 and rest.lacks_one():  # the cheap test first: most have some
                lacking.add(rest.task)
        if not lacking:
            return False
        order = tasks.by_priority()
        free = tasks.places() - sum(map(counted, order))
        donors = Donors(filter(_may_give, reversed(order)), minimum, LAST_GAVE)
        changed = False
        for task in order:
            if task not in lacking:
                free -= _short(task)  # other tasks have just given these places for it
                continue
            given: Given = {} if free > 0 else donors.give(task, 1)
            if free > 0 or given:
                _take(task, free, given)
                free -= (not given) + _short(task)
                changed = True
        return changed


def _may_give(task: Task) -> bool:
    return task.is_scalable and not task.backing_off


def _short(task: Task) -> int:
    """Returns how many containers more a task will take as soon as places are free."""
    if not task.settled or task.held or task.backing_off or not task.is_scalable or task.is_remainder():
        return 0
    return max(0, task.requested + task.scale_up_count() - task.demand)


def _take(task: Task, free: int, given: Given) -> None:
    before, task.demand = task.demand, 1
    metric, was = task.metric, task.reason
    if given:
        rule = LAST_TOOK if metric.current else TAKEN_TOOK
    else:
        rule = LAST if metric.current else TAKEN
    reason = Reason(
        rule,
        before,
        1,
        1,
        free,
        names(given),
        task.target.at_this_moment(),
        metric.current,
        measured=metric.measured,
    )
    task.reason = reason.on_top_of(was)
