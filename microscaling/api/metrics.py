"""How the tasks are, as the server is told.

The form is the Go agent's: {"user": "hello", "metrics": {"tasks": [{"app": "p1", "runningCount": 4,
"pendingCount": 3, "metric": 12}], "createdAt": 1500000000}}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from microscaling.demand.task import Task


def task_metrics(task: Task) -> dict[str, str | int]:
    """One task, now: containers that run, containers asked for, and what was measured, unless that is
    0. The caller holds the lock."""
    told: dict[str, str | int] = {
        "app": task.name,
        "runningCount": task.running,
        "pendingCount": task.requested,
    }
    if task.metric.current:
        told["metric"] = task.metric.current
    return told


def metrics_message(
    user_id: str,
    tasks: Iterable[dict[str, str | int]],
    created_at: int,
    detail: Mapping[str, Any] | None = None,
) -> str:
    """The message; `created_at` in seconds since 1970, `detail` as api/detail.py makes it."""
    metrics = {"tasks": list(tasks), "createdAt": created_at}
    more = {} if detail is None else {"detail": detail}
    return json.dumps({"user": user_id, "metrics": metrics, **more}, separators=(",", ":"))
