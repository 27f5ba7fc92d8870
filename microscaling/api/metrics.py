"""The metrics message: the state of the tasks, for the server.

The form is the Go agent's: {"user": "hello", "metrics": {"tasks": [{"app": "p1", "runningCount": 4,
"pendingCount": 3, "metric": 12}], "createdAt": 1500000000}}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from microscaling.demand.task import Task


def task_metrics(task: Task) -> dict[str, str | int]:
    """Returns one task, now: running containers, requested containers, and the reading, unless that is 0.
    The caller holds the lock."""
    told: dict[str, str | int] = {
        "app": task.name,
        "runningCount": task.running,
        "pendingCount": task.requested,
    }
    if task.metric.current:  # a 0 is left out, as by the Go agent
        told["metric"] = task.metric.current
    return told


def metrics_message(
    user_id: str,
    tasks: Iterable[dict[str, str | int]],
    created_at: int,
    detail: Mapping[str, Any] | None = None,
) -> str:
    """Returns the message as JSON. `created_at` in seconds since 1970, `detail` from `agent_detail`."""
    metrics = {"tasks": list(tasks), "createdAt": created_at}
    more = {} if detail is None else {"detail": detail}
    return json.dumps({"user": user_id, "metrics": metrics, **more}, separators=(",", ":"))
