"""The state of an agent and of one task as JSON, for `status` and `explain`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from microscaling import __version__
from microscaling.api.agent_report import failing_of
from microscaling.api.learned import learned_of
from microscaling.api.members import members_of
from microscaling.control.server import Answer, Handler
from microscaling.demand.condition import state, wanted
from microscaling.demand.obstacle import obstacle, shortage, waits
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.demand.windows import next_change
from microscaling.log import masked
from microscaling.metric.null import NullMetric
from microscaling.target.band import band_of


def handlers(tasks: Tasks, scheduler: str) -> dict[str, Handler]:
    """Returns the functions that answer the requests of people."""

    def one(query: Mapping[str, str]) -> Answer:
        told = explain(tasks, query.get("task", ""))
        return (404, {"error": "there is no such task"}) if told is None else (200, told)

    return {"GET /status": lambda query: (200, status(tasks, scheduler)), "GET /explain": one}


def status(tasks: Tasks, scheduler: str) -> dict[str, Any]:
    """Returns the state of the agent and of all its tasks, the most important first."""
    with tasks:
        used = sum(task.requested for task in tasks.tasks)
        return {
            "version": __version__,
            "pid": os.getpid(),
            "scheduler": scheduler,
            "noun": tasks.noun,
            "cap": tasks.cap,
            "free": max(0, tasks.places() - used),
            "taken": tasks.occupied + tasks.outside,
            "takenBy": masked(_taken_by(tasks)),
            "hold": masked(tasks.hold),
            "leftAlone": [
                {"name": name, "problem": masked(mistake)} for name, mistake in tasks.left_alone.items()
            ],
            "tasks": [_task(task, tasks) for task in tasks.by_priority()],
        }


def explain(tasks: Tasks, name: str) -> dict[str, Any] | None:
    """Returns all that there is to know of one task; None if there is none of this name."""
    with tasks:
        task = next((each for each in tasks.tasks if each.name == name), None)
        if task is None:
            return None
        told = _task(task, tasks) | {
            "rule": task.target.type_name,
            "metric": "" if isinstance(task.metric, NullMetric) else task.metric.type_name,
            "sources": [source.name for source in task.metric.sources],
            "lacks": 0 if task.is_remainder() else shortage(task),
            "obstacle": "",
            "failing": None if task.failure is None else failing_of(task.failure, time.monotonic()),
            "cap": tasks.cap,
            "has": {each.name: each.requested for each in tasks.by_priority() if each.requested},
            "decisions": [
                {"at": _when(d.at), "before": d.before, "after": d.after, "reason": _words(d.reason)}
                for d in reversed(task.history)
            ],
        }
        # Without a shortage there is nothing to wait for, though the cap may be used up.
        if told["lacks"] or task.held:
            told["obstacle"] = masked(obstacle(task, tasks))
        else:
            told["obstacle"] = told["waits"] and f"it {told['waits']}"
        if not task.is_remainder() and (band := band_of(task.target, task.serving())):
            told["band"] = {"more": band.more, "back": band.back if band.back >= 0 else None}
        return told


def _taken_by(tasks: Tasks) -> str:
    """Describes the containers that take places under the cap, and are in no task's demand."""
    # With the way out, if there is one.
    words = (tasks.occupied_by, tasks.orphans) if tasks.outside and tasks.orphans else (tasks.taken_by,)
    return " and ".join(filter(None, words))


def _task(task: Task, tasks: Tasks) -> dict[str, Any]:
    least, most = task.own_limits()
    return {
        "name": task.name,
        "priority": task.priority,
        "state": state(task, tasks),
        "running": task.running,
        "requested": task.requested,
        "wanted": wanted(task),
        "min": least,
        "max": most,
        "reading": _reading(task),
        "target": getattr(task.target, "length", None),
        "since": _when(task.history[-1].at) if task.history else None,
        "reason": _words(task.reason),
        "waits": waits(task, tasks),
        "schedule": _schedule(task),
        "rolling": task.rolling,
        "frozen": task.frozen,
        "loading": task.loading,
        "warmBytes": task.warm_bytes,
        "warnings": [masked(text) for text in task.warnings.values()],
        "problem": masked(
            task.override or task.falling_back or task.held or task.resting or task.metric.lacking
        ),
    } | _of_its_rule(task)


def _of_its_rule(task: Task) -> dict[str, Any]:
    """Returns the metrics of a task with several, and what a rule has learned."""
    told = {"metrics": members_of(task), "learned": learned_of(task)}
    return {key: value for key, value in told.items() if value}


def _schedule(task: Task) -> dict[str, Any] | None:
    """Returns the window that is open, and the next change of the limits."""
    if task.schedule is None:
        return None
    at = None if task.changes_at is None else _when(task.changes_at[0])
    window = "" if task.window is None else f"{task.window.text}: {task.window.limits.words()}"
    return {"open": window, "nextAt": at, "next": next_change(task)}


def _reading(task: Task) -> dict[str, Any] | None:
    if isinstance(task.metric, NullMetric) or task.measured_at is None:
        return None
    found, age_s = task.metric.measured, time.monotonic() - task.measured_at
    return {
        "waiting": task.metric.current if found is None else found.waiting,
        "running": None if found is None else found.running,
        "stuck": 0 if found is None else found.stuck,
        "future": 0 if found is None else found.future,
        "paused": found is not None and found.paused,
        "ageSeconds": round(age_s, 1),
    }


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _words(reason: object) -> str:
    return "" if reason is None else masked(str(reason))
