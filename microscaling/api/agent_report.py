"""What this agent tells of itself and its tasks beyond what the Go agent told.

Only a server that has said in its answer to the handshake that it understands (`HEADER`) is sent it, as
"detail" beside "metrics". docs/server.md describes the form.
"""

from __future__ import annotations

from typing import Any

from microscaling import __version__
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.log import masked
from microscaling.metric.null import NullMetric

HEADER = "microscaling-detail"
MAX_TEXT = 300
"""Characters of a reason."""


def task_detail(task: Task) -> dict[str, Any]:
    """One task, now. The caller holds the lock."""
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


def _is_measured(task: Task) -> bool:
    """Whether `metric.current` is a reading, as the Go agent's `metric` cannot say: it leaves out a 0."""
    return not (task.held or task.falling_back or isinstance(task.metric, NullMetric))


def agent_detail(tasks: Tasks, name: str, engine: str) -> dict[str, Any]:
    """The object. `name`: of this agent, for people; `engine`: LOCAL or SERVER, who decides. The caller
    holds the lock."""
    detail: dict[str, Any] = {
        "name": name,
        "version": __version__,
        "engine": engine,
        "cap": tasks.cap,
        "hold": masked(tasks.hold)[:MAX_TEXT],
        "orphans": tasks.orphans[:MAX_TEXT],
        "tasks": [task_detail(task) for task in tasks.tasks],
    }
    if tasks.occupied:
        detail["occupied"] = tasks.occupied
    return detail
