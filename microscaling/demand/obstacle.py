"""The containers that a task lacks, and the obstacle that keeps it from them."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks


def shortage(task: Task) -> int:
    """Returns how many containers more than requested its reading calls for, limits aside; 0 for none."""
    more = task.ideal_containers - task.requested
    return 0 if more <= 0 or task.target.meeting(task.metric.current) else more


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
    if max(task.requested, task.demand) >= task.max_containers:
        return f"it is at its maximum, {task.max_containers}"
    if tasks.hold:
        return tasks.hold
    stopping = sum(other.stopping for other in tasks.tasks)
    if stopping:
        return f"it waits for {stopping} that stop"
    cap = f"the cap, {tasks.cap}, is used up"
    return f"{cap} (less {tasks.occupied_by})" if tasks.occupied_by else cap
