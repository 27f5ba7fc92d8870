"""The allocation between two beats, after a change of the running or requested containers.

Pure; the caller holds the lock of `Tasks`. The Go agent waited for the next beat.
"""

from __future__ import annotations

from microscaling.demand.reason import GAVE_WAY, TOOK, UP, Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.donors import Donors, Given, minimum, names
from microscaling.engine.guard import counted, guard


def reallocate(tasks: Tasks) -> bool:
    """Gives free places to tasks that are still short, by the ideals of the last measurement, then guards.
    Returns True if any demand changed.

    Counts demand, not the requested containers: so it may run at any moment of a change without assigning a
    place twice, and a transfer between two tasks is complete in one decision. It gives nothing back: the beat
    has done all that its readings allow.
    """
    order = tasks.by_priority()
    free = tasks.places() - sum(map(counted, order))
    changed = False
    donors: Donors | None = None
    for task in order:
        # Each task at most once per measurement, and only if it was settled then: an ideal from the middle
        # of a change must not be applied twice.
        if not task.settled or task.reallocated or task.held or task.backing_off or not task.is_scalable:
            continue
        wants = _short(task)
        if wants <= 0:
            continue
        taken = max(0, min(free, wants))
        given: Given = {}
        if taken < wants and not task.is_remainder():
            donors = donors or Donors(filter(_may_give, reversed(order)), minimum, GAVE_WAY)
            given = donors.give(task, wants - taken)
        if taken or given:
            _take(task, wants, taken, free, given)
            free -= taken
            changed = True
    return guard(tasks) or changed


def _short(task: Task) -> int:
    """Returns how many containers more it should get: `scale_up_count`, but counted from its demand."""
    wants = min(task.ideal_containers, task.most()) - task.demand
    if wants <= 0 or task.target.meeting(task.metric.current):
        return 0
    return min(wants, task.max_delta)


def _may_give(task: Task) -> bool:
    return task.is_scalable and task.settled and not task.reallocated and not task.backing_off


def _take(task: Task, wants: int, taken: int, free: int, given: Given) -> None:
    before, after = task.demand, task.demand + taken + sum(given.values())
    metric, rule, gift = task.metric, TOOK if given else UP, sum(given.values())
    task.reason = Reason(
        rule,
        before,
        after,
        wants,
        free,
        names(given),
        task.target.at_this_moment(),
        metric.current,
        gift,
        metric.measured,
    )
    task.demand = after
    task.reallocated = True
    for donor in given:
        donor.reallocated = True
