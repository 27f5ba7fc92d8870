"""The details of an agent and its tasks in its reports, beyond the fields of the Go agent.

Only a server that announces support for it in its answer to the handshake (`HEADER`) gets it, as "detail"
beside "metrics". docs/server.md describes the form.
"""

from __future__ import annotations

from typing import Any

from microscaling import __version__
from microscaling.demand.obstacle import shortage
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.log import masked
from microscaling.metric.null import NullMetric
from microscaling.target.band import band_of

HEADER = "microscaling-detail"
MAX_TEXT = 300
"""Characters of a reason."""
MAX_OUTLOOKS = 200
"""Tasks of an agent that tells what would change their number of containers."""


def task_detail(task: Task) -> dict[str, Any]:
    """Returns the details of one task, now. The caller holds the lock."""
    detail: dict[str, Any] = {
        "app": task.name,
        "demand": task.demand,
        "priority": task.priority,
        "min": task.min_containers,
        "max": task.max_containers,
        "target": getattr(task.target, "length", None),
        "metric": task.metric.current if _is_measured(task) else None,
        "held": masked(task.held)[:MAX_TEXT],
        "fallback": masked(task.falling_back)[:MAX_TEXT],
        "backingOff": task.backing_off,
        "reason": "" if task.reason is None else masked(str(task.reason))[:MAX_TEXT],
    }
    # Seldom true, and thousands of agents report twice a second: left out otherwise.
    if task.stopping:
        detail["stopping"] = task.stopping
    if task.parked:
        detail["parked"] = task.parked
    if task.overdue:
        detail["overdue"] = True
    return detail


def _outlook(task: Task) -> dict[str, Any]:
    """Returns the rule, the containers that are lacking, and the readings at which it would move."""
    told: dict[str, Any] = {"rule": task.target.type_name}
    if task.is_remainder() or task.held or task.falling_back:
        return told
    if lacks := shortage(task):
        told["lacks"] = lacks
    if band := band_of(task.target, task.serving()):
        told["more"] = band.more
        if band.back >= 0:
            told["back"] = band.back
    return told


def _is_measured(task: Task) -> bool:
    """Whether `metric.current` is a reading."""
    # The Go agent's `metric` does not show it: that is left out if it is 0, and if there is no reading.
    return not (task.held or task.falling_back or isinstance(task.metric, NullMetric))


def agent_detail(tasks: Tasks, name: str, engine: str) -> dict[str, Any]:
    """Returns the object "detail". `name`: of this agent, for people; `engine`: LOCAL or SERVER, the engine
    that decides. The caller holds the lock."""
    # With more tasks the message could become longer than the server reads.
    few = len(tasks.tasks) <= MAX_OUTLOOKS
    detail: dict[str, Any] = {
        "name": name,
        "version": __version__,
        "engine": engine,
        "cap": tasks.cap,
        "hold": masked(tasks.hold)[:MAX_TEXT],
        "orphans": tasks.orphans[:MAX_TEXT],
        "tasks": [task_detail(task) | (_outlook(task) if few else {}) for task in tasks.tasks],
    }
    if tasks.occupied:
        detail["occupied"] = tasks.occupied
    return detail
