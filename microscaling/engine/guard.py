"""The guard: demand stays within the cap, and every task gets its minimum, after any decision.

The Go agent has no such rule: it stays above the cap if it finds too many containers at the start, and never
starts a task with equal minimum and maximum. Pure; the caller holds the lock of `Tasks`.
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
from microscaling.engine.shares import share


def guard(tasks: Tasks, by_readings: bool = True) -> bool:
    """Corrects demand that breaks the cap or a minimum. Returns True if any demand changed. `by_readings`:
    demand comes from readings here, so a task without one gives only as in (b).

    (a) Above the cap, less the occupied places, demand is lowered from the lowest priority up: first the part
    above the minimums, then the minimums, and last the tasks that are not scalable. (b) A task below its
    minimum, the most important first, takes the free places, then the surplus of others above their minimum,
    from the lowest priority up, then the minimums of less important tasks. A held task gives only to a more
    important one that is not held.

    Afterwards the sum of demand is within the cap, and a second call changes nothing.
    """
    # Demand counts here, not the requested or running containers: it is the state in the end. Containers on
    # their way out are in no demand, and the same decision assigns their places. So nothing oscillates
    # during a change, however long it takes. On the way to that state the scheduler keeps to the cap: it
    # starts a container only when the place is empty.
    order = tasks.by_priority()
    free = tasks.places()
    needy = weighted = False
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
        if task.weight is not None:
            weighted = True
    if free < 0 or needy:
        # demand.limits sets the demand of tasks that back off, so they count and stay as they are.
        movable = [task for task in order if not task.backing_off]
        changed = _lower(movable, -free, tasks) or changed
        free, moved = max(0, free), True
        while moved:  # a held task may take from one that has only just been raised
            moved, free = _raise(movable, free, by_readings)
            changed = changed or moved
    if weighted and by_readings:  # a server's demand is shared out already
        changed = share(tasks) or changed
    return changed


def counted(task: Task) -> int:
    """Returns the places of a task under the cap: its demand, or the larger `requested` while it backs
    off."""
    # In a back-off the scheduler changes demand and `requested` one after the other.
    return max(task.demand, task.requested) if task.backing_off else task.demand


def _lower(movable: list[Task], excess: int, tasks: Tasks) -> bool:
    """Rule (a): takes `excess` containers away, if above 0. Returns True if it took any."""
    scalable = [task for task in reversed(movable) if task.is_scalable]
    fixed = [task for task in reversed(movable) if not task.is_scalable]
    left = excess
    for group, floor in ((scalable, minimum), (scalable, nothing), (fixed, nothing)):
        for task in group:
            if left <= 0:
                break
            gives = min(left, task.demand - floor(task))
            if gives > 0:
                rule = OVER_PLACES if tasks.taken_by else OVER_CAP
                after, cap, by = task.demand - gives, tasks.cap, tasks.taken_by
                task.reason = Reason(rule, task.demand, after, excess, cap, by).on_top_of(task.reason)
                task.demand -= gives
                left -= gives
    return left < excess


def _raise(movable: list[Task], free: int, by_readings: bool) -> tuple[bool, int]:
    """Rule (b): raises tasks to their minimum. Returns whether any demand changed, and the places free
    then."""
    scalable = [task for task in movable if task.is_scalable]
    everyone = scalable[::-1]
    fresh = [task for task in everyone if not (by_readings and task.held)]
    spare = Donors(everyone, minimum, MINIMUM_GAVE)
    spare_of_fresh = Donors(fresh, minimum, MINIMUM_GAVE)
    last = Donors(everyone, nothing, MINIMUM_GAVE)
    last_of_fresh = Donors(fresh, nothing, MINIMUM_GAVE)
    # The donors, and True for those that give only to more important tasks.
    to_fresh = ((spare, True), (spare_of_fresh, False), (last, True))
    to_held = ((spare_of_fresh, False), (last_of_fresh, True))
    changed = False
    for task in scalable:
        if task.demand >= task.min_containers:  # true for most tasks: saves the call for thousands
            continue
        wants = minimum(task) - task.demand
        if wants <= 0:
            continue
        taken = min(free, wants)
        left = wants - taken
        given: Given = {}
        for donors, lower_only in to_held if by_readings and task.held else to_fresh:
            if left:
                for donor, gave in donors.give(task, left, lower_only).items():
                    given[donor] = given.get(donor, 0) + gave
                    left -= gave
        if left < wants:
            _take(task, wants, wants - left, free, given)
            free -= taken
            changed = True
    return changed, free


def _take(task: Task, wants: int, takes: int, free: int, given: Given) -> None:
    before, after = task.demand, task.demand + takes
    if task.override:  # the minimum is not that of the configuration
        task.reason = Reason(task.override, before, after).on_top_of(task.reason)
    elif given:
        gift = sum(given.values())
        by, was = names(given), task.reason
        task.reason = Reason(MINIMUM_TOOK, before, after, wants, free, by, given=gift).on_top_of(was)
    else:
        task.reason = Reason(BELOW_MINIMUM, before, after, wants, free).on_top_of(task.reason)
    task.demand = after
