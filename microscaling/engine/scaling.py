"""What each task should have: the beat's measurement, and how the cap is shared by priority.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`. All counts are containers.
The rules are the Go agent's (tests/vectors); those that mend them are in guard.py and extra.py.
Thousands of tasks are decided on several times a second, so what `Task.scale_up_count` and
`scale_down_count` answer is worked out in place here; a test holds the two together.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from microscaling.demand.reason import (
    ABOVE_MAXIMUM,
    BACK,
    BACK_LATE,
    BELOW_MINIMUM,
    GAVE_LATE,
    GAVE_WAY,
    UP,
    UP_LATE,
    Reason,
)
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.guard import guard
from microscaling.engine.reallocate import reallocate
from microscaling.target.base import Observation
from microscaling.target.remainder import RemainderTarget

__all__ = ["allocate", "guard", "measure", "reallocate", "scaling_calculation"]

Ask = tuple[Task, int]
"""A task, and how many it is short of."""


def measure(tasks: Tasks) -> None:
    """Works out from the readings what each task would have for itself, and notes who has settled.

    Once per reading: the targets count on it. A held task keeps the ideal it had.
    """
    for task in tasks.tasks:
        serving = task.running - task.stopping + task.parked
        task.settled = serving == task.requested or task.overdue
        task.reallocated = False
        if not task.held:
            target = task.target
            if target.by_delta:  # thousands need no observation
                task.ideal_containers = serving + target.delta(task.metric.current)
            else:
                metric = task.metric
                task.ideal_containers = target.decide(
                    Observation(metric.current, serving, task.requested, task.measured_s, metric.in_flight)
                )


def scaling_calculation(tasks: Tasks) -> bool:
    """Measures and allocates: the Go agent's decision, without the guard. Returns whether any
    demand was set."""
    measure(tasks)
    return allocate(tasks)


def allocate(tasks: Tasks) -> bool:
    """Shares the cap by priority. Returns whether any demand was set, if only to what it was.

    A task has settled when nothing of it is being created or started any more: what stops, or waits for
    a place, freezes nobody. Only settled tasks move by their own reading: first those that can do with
    fewer give back, then the others take, the most important first, as long as there is some free. A task
    that is still short makes less important ones give way; what they give is free at the next calculation.
    """
    order = tasks.by_priority()
    free, takers, changed = _give_back(order, tasks.places())
    asks: list[Ask] = []
    for task, wants in takers:
        if free < wants and not isinstance(task.target, RemainderTarget):
            asks.append((task, wants - free))
        if free > 0:
            taken = wants if wants < free else free
            requested, demand = task.requested, task.demand
            after = requested + taken
            changed = True
            if after != demand:
                wanted = task.ideal_containers > requested
                if wanted and requested < task.min_containers:
                    wanted = not task.target.meeting(task.metric.current)
                rule = UP if wanted else BELOW_MINIMUM
                task.reason = Reason(rule, demand, after, wants, free, "", task.target, task.metric.current)
                if after < demand:
                    _from_requested(task, UP_LATE)
                task.demand = after
            free -= taken
    # Who has asked took the last that was free, so nobody that is made to give has taken before.
    return _give_way(order, asks) or changed if asks else changed


def _give_back(order: list[Task], cap: int) -> tuple[int, list[Ask], bool]:
    """Lowers the demand of tasks that can do with fewer. Returns what is free then (negative above
    the cap), which tasks want how many more, and whether any demand was set."""
    free = cap
    takers: list[Ask] = []
    changed = False
    for task in order:
        requested = task.requested
        free -= requested
        if requested != task.running - task.stopping + task.parked and not task.overdue:
            continue
        if not task.is_scalable or task.held or task.backing_off:
            continue
        change = task.ideal_containers - requested
        if change > 0:
            if task.target.meeting(task.metric.current):
                change = 0
        elif change < 0 and not task.target.exceeding(task.metric.current):
            change = 0
        least, most = task.min_containers - requested, task.max_containers - requested
        if change < least:
            change = least
        if change > most:
            change = most
        if change > 0:
            max_delta = task.max_delta
            if max_delta > 0:
                takers.append((task, change if change < max_delta else max_delta))
        elif change < 0 and requested != task.min_containers:
            change = max(change, -task.max_delta)
            if change < 0:
                free -= change
                changed = True
                _lower(task, change)
    return free, takers, changed


def _lower(task: Task, change: int) -> None:
    after = task.requested + change
    if after != task.demand:
        rule = ABOVE_MAXIMUM if task.requested > task.max_containers else BACK
        wants = task.requested - task.ideal_containers
        task.reason = Reason(rule, task.demand, after, wants, 0, "", task.target, task.metric.current)
        if after > task.demand:
            _from_requested(task, BACK_LATE)
        task.demand = after


def _give_way(order: list[Task], asks: list[Ask]) -> bool:
    """Makes less important tasks give to those that ask. Returns whether any demand was set.

    Each that asks, in order of priority, has tasks of strictly lower priority give what they have
    above their minimum, the last in the order first, until it has enough; what one was told before
    is told anew. So what counts is what the last one that reaches a task tells it. That is found
    without trying each with each: from the last one back, and those that give in full (always to
    the same demand) need no second look.
    """
    givers = [
        task
        for task in reversed(order)
        if task.requested > task.min_containers and task.is_scalable and not task.backing_off
    ]
    if not givers:
        return False
    can_give = [task.requested - task.min_containers for task in givers]
    sums = list(accumulate(can_give))
    lower = done = 0
    for asker, short in reversed(asks):
        while lower < len(givers) and givers[lower].priority > asker.priority:
            lower += 1
        if not lower:
            continue
        in_full = bisect_right(sums, short, 0, lower)
        for i in range(done, in_full):
            _give(givers[i], can_give[i], asker, short)
        done = max(done, in_full)
        rest = short - (sums[in_full - 1] if in_full else 0)
        if done == in_full < lower and rest:
            _give(givers[in_full], rest, asker, short)
            done += 1
    return done > 0


def _give(giver: Task, given: int, asker: Task, short: int) -> None:
    after, demand = giver.requested - given, giver.demand
    if after != demand:
        was = giver.reason  # it may have given back just before
        giver.reason = Reason(GAVE_WAY, demand, after, short, 0, asker.name).on_top_of(was)
        if after > demand:
            giver.reason.wants = given
            _from_requested(giver, GAVE_LATE)
        giver.demand = after


def _from_requested(task: Task, rule: str) -> None:
    """Demand had run ahead of what is requested, and is brought back: it moves the other way than the
    rule."""
    assert task.reason is not None
    task.reason.rule, task.reason.given = rule, task.requested
