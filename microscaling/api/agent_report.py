"""The details of an agent and its tasks in its reports, beyond the fields of the Go agent.

Only a server that announces support for it in its answer to the handshake (`HEADER`) gets it, as "detail"
beside "metrics". docs/server.md describes the form.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from microscaling import __version__
from microscaling.api.containers import container_entries
from microscaling.api.jobs import jobs_of
from microscaling.api.learned import learned_of
from microscaling.api.members import members_of
from microscaling.demand.obstacle import shortage
from microscaling.demand.shown import Failure
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.demand.windows import in_window
from microscaling.log import masked
from microscaling.metric.null import NullMetric
from microscaling.target.band import band_of

HEADER = "microscaling-detail"
MAX_TEXT = 300
"""Characters of a reason."""
MAX_LINES = 600
"""Characters of the last lines of a container that failed."""
MAX_MESSAGE = 240 * 1024
"""Bytes of a report with all that people like to know; the server reads 256 KiB."""


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
    if task.metric.measured is not None and detail["metric"] is not None:
        detail["jobs"] = jobs_of(task.metric.measured)
    # Seldom true, and thousands of agents report twice a second: left out otherwise.
    if task.stopping:
        detail["stopping"] = task.stopping
    if task.draining:
        detail["draining"] = task.draining
        left_s = 0.0 if task.drains_until is None else task.drains_until - time.monotonic()
        detail["drainSeconds"] = _seconds(left_s)
    if task.frozen:
        detail["frozen"] = task.frozen
    if task.warm_bytes:
        detail["warmBytes"] = task.warm_bytes
    if task.parked:
        detail["parked"] = task.parked
    if task.resting:
        detail["resting"] = task.resting
    if task.schedule is not None:
        detail["schedule"] = in_window(task)[:MAX_TEXT]
    if task.overdue:
        detail["overdue"] = True
    if task.override:
        detail["override"] = task.override
    if task.warnings:
        detail["warnings"] = [masked(text)[:MAX_TEXT] for text in task.warnings.values()]
    return detail


def _outlook(task: Task) -> dict[str, Any]:
    """Returns the rule, the containers that are lacking, and the readings at which it would move."""
    told: dict[str, Any] = {"rule": task.target.type_name}
    if members := members_of(task):
        told["metrics"] = members
    if task.is_remainder() or task.held or task.falling_back:
        return told
    if lacks := shortage(task):
        told["lacks"] = lacks
    if learned := learned_of(task):
        told["learned"] = learned
    if band := band_of(task.target, task.serving()):
        told["more"] = band.more
        if band.back >= 0:
            told["back"] = band.back
    return told


def failing_of(failure: Failure, now: float) -> dict[str, Any]:
    """Returns the object "failing": the last failure of a task's containers, at `now` (monotonic seconds)."""
    told: dict[str, Any] = {"why": masked(failure.why)[:MAX_TEXT], "seconds": _seconds(now - failure.at)}
    if failure.exit_code is not None:
        told["exitCode"] = failure.exit_code
    if failure.lines:
        told["lines"] = masked(failure.lines)[-MAX_LINES:]
    if failure.retry_at is not None and failure.retry_at > now:
        told["retrySeconds"] = _seconds(failure.retry_at - now)
    return told


def _seconds(duration: float) -> int:
    return max(0, round(duration))


def _is_measured(task: Task) -> bool:
    """Whether `metric.current` is a reading."""
    # The Go agent's `metric` does not show it: that is left out if it is 0, and if there is no reading.
    return not (task.held or task.falling_back or isinstance(task.metric, NullMetric))


def agent_detail(
    tasks: Tasks,
    name: str,
    engine: str,
    asked: Collection[str] = (),
    brief: bool = False,
    orders: bool = False,
) -> dict[str, Any]:
    """Returns the object "detail". `name`: of this agent, for people; `engine`: LOCAL or SERVER, the engine
    that decides; `asked`: tasks whose containers the server asks for; `brief`: only what it needs to decide;
    `orders`: it takes orders. The caller holds the lock."""
    told = [task_detail(task) for task in tasks.tasks]
    detail: dict[str, Any] = {
        "name": name,
        "version": __version__,
        "engine": engine,
        "cap": tasks.cap,
        "hold": masked(tasks.hold)[:MAX_TEXT],
        "orphans": tasks.orphans[:MAX_TEXT],
        "tasks": told,
    }
    if not brief:
        now = time.monotonic()
        for task, entry in zip(tasks.tasks, told, strict=True):
            entry.update(_outlook(task))
            if task.failure is not None:
                entry["failing"] = failing_of(task.failure, now)
            if task.name in asked:
                entry["containers"] = container_entries(tasks, task.name, now)
    if tasks.occupied:
        detail["occupied"] = tasks.occupied
    if orders:
        detail["orders"] = True
    return detail
