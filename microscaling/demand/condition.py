"""The state of a task in one word, and the containers that it wants."""

from __future__ import annotations

from microscaling.demand.obstacle import shortage, waits
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks


def conditions(task: Task, tasks: Tasks) -> dict[str, bool]:
    """Returns all states, and whether the task is in them. The caller holds the lock."""
    stays = task.override or task.resting or task.falling_back or task.held or task.backing_off
    short = not stays and not task.is_remainder() and shortage(task) > 0
    # In order of their weight: what a person can do something about goes before what passes.
    return {
        "pinned": task.override.startswith("pinned"),
        "paused": task.override.startswith("paused"),
        "resting": bool(task.resting),
        "fallback": bool(task.falling_back),
        "held": bool(task.held),
        "backoff": task.backing_off,
        "draining": task.draining > 0,
        "stopping": task.stopping > 0,
        "waiting": bool(waits(task, tasks)),
        "starting": task.requested > task.running - task.stopping - task.loading,
        "maximum": short and task.requested >= task.max_containers,
        "short": short,
    }


def state(task: Task, tasks: Tasks) -> str:
    """Returns the weightiest state; "ok" if it is in none. The caller holds the lock."""
    return next((name for name, holds in conditions(task, tasks).items() if holds), "ok")


def wanted(task: Task) -> int:
    """Returns the containers that its rule asks for, within its minimum and its maximum; those that it is
    pinned to."""
    if task.override and task.is_scalable:
        return task.max_containers
    if task.is_remainder() or task.held:
        return task.demand
    return min(max(task.demand + shortage(task), task.min_containers), task.max_containers)
