"""The containers that a task lacks, and the obstacle that keeps it from them."""

from __future__ import annotations

import time

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.utils.text import span


def shortage(task: Task) -> int:
    """Returns how many containers more than requested its reading calls for, limits aside; 0 for none."""
    more = task.ideal_containers - task.requested
    return 0 if more <= 0 or task.target.meeting(task.metric.current) else more


def waits(task: Task, tasks: Tasks) -> str:
    """Returns for which containers those of a task wait that have no place yet, and for how long at the most;
    "" if they wait for none that drains. The caller holds the lock."""
    draining, last = _draining(tasks)
    count = min(task.parked, draining)
    return f"waits for {_that(count, 'drain')}, {last}" if count else ""


def _that(count: int, act: str) -> str:
    return f"{count} that {act}{'s' if count == 1 else ''}"


def _draining(tasks: Tasks) -> tuple[int, str]:
    """Returns how many containers drain, and the longest time that it takes, in words."""
    ends = [task.drains_until for task in tasks.tasks if task.drains_until is not None]
    left_s = max(ends, default=0.0) - time.monotonic()
    return sum(task.draining for task in tasks.tasks), f"at most {span(max(0.0, left_s))}"


def obstacle(task: Task, tasks: Tasks) -> str:
    """Returns the reason why a task that lacks containers does not get them. The caller holds the lock."""
    if task.held:
        return f"held: {task.held}"
    if task.override:
        return f"it is {task.override}"
    if task.resting:
        return task.resting
    if task.backing_off:
        return "it keeps failing and backs off"
    if not task.is_scalable:
        return "it is not scalable"
    if task.room is not None and max(task.requested, task.demand) >= task.room:
        return f"the cluster has no place for more ({task.unplaced})"
    # Before its maximum: it has asked for all that it may have, and does not have it yet.
    if waiting := waits(task, tasks):
        return f"it {waiting}"
    if max(task.requested, task.demand) >= task.max_containers:
        return f"it is at its maximum, {task.max_containers}"
    if tasks.hold:
        return tasks.hold
    stopping = sum(other.stopping for other in tasks.tasks)
    if stopping:
        draining, last = _draining(tasks)
        if draining == stopping:
            return f"it waits for {_that(draining, 'drain')}, {last}"
        among = f", {draining} of which drain{'s' if draining == 1 else ''}, {last}" if draining else ""
        return f"it waits for {_that(stopping, 'stop')}{among}"
    cap = f"the cap, {tasks.cap}, is used up"
    return f"{cap} (less {tasks.taken_by})" if tasks.taken_by else cap
