"""What demand must keep to, whoever decided it: the cap, and every task's minimum.

The Go agent has no such rule: it stays above the cap if a start finds too many, and never starts a
task whose minimum is its maximum. Pure; the caller holds the lock of `Tasks`.
"""

from __future__ import annotations

from microscaling.demand.reason import (
    BELOW_MINIMUM,
    MINIMUM_GAVE,
    MINIMUM_TOOK,
    OVER_CAP,
    OVER_PLACES,
    Reason,
)
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.donors import Donors, Given, minimum, names, nothing


def guard(tasks: Tasks, by_readings: bool = True) -> bool:
    """Mends demand that breaks the cap or a minimum. Returns whether any was changed. `by_readings`: demand
    comes from the readings here, so a task without one gives only as (b) has it.

    (a) Above the cap, less what is occupied, demand is lowered from the lowest priority up: first what is
    above a minimum, then minimums, and tasks that are not to be scaled only when nothing else is left.
    (b) A task below its minimum, the most important first, takes what is free, then what others
    have above their minimum, from the lowest priority up, then less important tasks' minimums. A
    task that is held gives only to a more important one that is not.

    Afterwards the sum of demand is within the cap, and another call changes nothing. (What a task
    that backs off has is the scheduler's to decide: it counts, and stays.) Demand is what counts
    here, not what is requested or runs: containers on their way out are in nobody's demand, and who
    gets their place is part of the same decision. So the sum of demand is what there will be in the
    end; that there is never more on the way is the scheduler's to see to, which starts nothing
    before its place is empty. For the same reason nothing swings back and forth while a change is
    under way, however long it takes: what was decided counts from that moment on.
    """
    order = tasks.by_priority()
    free = tasks.places()
    needy = False
    changed = False
    for task in order:
        demand = task.demand
        if demand < 0:
            task.reason = Reason("demand cannot be negative", demand, 0).on_top_of(task.reason)
            task.demand = demand = 0
            changed = True
        free -= counted(task) if task.backing_off else demand
        if demand < task.min_containers:
            needy = True
    if free < 0 or needy:
        movable = [task for task in order if not task.backing_off]
        changed = _lower(movable, -free, tasks) or changed
        free, moved = max(0, free), True
        while moved:  # a held task may be able to take from one that has only just been raised
            moved, free = _raise(movable, free, by_readings)
            changed = changed or moved
    return changed


def counted(task: Task) -> int:
    """What a task counts for under the cap: its demand. While it backs off the scheduler lowers
    demand and what is requested, or raises both to try again, one after the other."""
    return max(task.demand, task.requested) if task.backing_off else task.demand


def _lower(movable: list[Task], excess: int, tasks: Tasks) -> bool:
    """Rule (a): takes `excess` away, if it is above 0. Returns whether it took any."""
    scalable = [task for task in reversed(movable) if task.is_scalable]
    fixed = [task for task in reversed(movable) if not task.is_scalable]
    left = excess
    for group, floor in ((scalable, minimum), (scalable, nothing), (fixed, nothing)):
        for task in group:
            if left <= 0:
                break
            gives = min(left, task.demand - floor(task))
            if gives > 0:
                rule = OVER_PLACES if tasks.occupied else OVER_CAP
                after, cap, by = task.demand - gives, tasks.max_containers, tasks.occupied_by
                task.reason = Reason(rule, task.demand, after, excess, cap, by).on_top_of(task.reason)
                task.demand -= gives
                left -= gives
    return left < excess


def _raise(movable: list[Task], free: int, by_readings: bool) -> tuple[bool, int]:
    """Rule (b): brings tasks up to their minimum. Returns whether any demand changed, and what is
    free then."""
    scalable = [task for task in movable if task.is_scalable]
    everyone = scalable[::-1]
    fresh = [task for task in everyone if not (by_readings and task.held)]
    spare = Donors(everyone, minimum, MINIMUM_GAVE)
    spare_of_fresh = Donors(fresh, minimum, MINIMUM_GAVE)
    last = Donors(everyone, nothing, MINIMUM_GAVE)
    last_of_fresh = Donors(fresh, nothing, MINIMUM_GAVE)
    # who gives, and whether only to more important tasks
    to_fresh = ((spare, True), (spare_of_fresh, False), (last, True))
    to_held = ((spare_of_fresh, False), (last_of_fresh, True))
    changed = False
    for task in scalable:
        if task.demand >= task.min_containers:  # most: they need no call
            continue
        wants = minimum(task) - task.demand
        if wants <= 0:
            continue
        taken = min(free, wants)
        left = wants - taken
        given: Given = {}
        for givers, lower_only in to_held if by_readings and task.held else to_fresh:
            if left:
                for giver, gave in givers.give(task, left, lower_only).items():
                    given[giver] = given.get(giver, 0) + gave
                    left -= gave
        if left < wants:
            _take(task, wants, wants - left, free, given)
            free -= taken
            changed = True
    return changed, free


def _take(task: Task, wants: int, takes: int, free: int, given: Given) -> None:
    before, after = task.demand, task.demand + takes
    if given:
        gift = sum(given.values())
        by, was = names(given), task.reason
        task.reason = Reason(MINIMUM_TOOK, before, after, wants, free, by, given=gift).on_top_of(was)
    else:
        task.reason = Reason(BELOW_MINIMUM, before, after, wants, free).on_top_of(task.reason)
    task.demand = after
