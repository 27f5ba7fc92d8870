"""The server's question for the single containers of a task, and the agent's answer in its reports.

An addition to the Go agent's messages: {"containers": {"app": "p1"}}. An agent that does not know the
question ignores it.
"""

from __future__ import annotations

import json
from typing import Any

from microscaling.demand.tasks import Tasks
from microscaling.errors import ConfigError
from microscaling.log import masked
from microscaling.utils.strict_json import parse

MAX_SHOWN = 50
"""Containers of one task in a report, the oldest first."""
MAX_NAME = 128
"""Characters of an id, a name or a state."""


def question(app: str) -> str:
    """Returns the message that asks for the containers of a task."""
    return json.dumps({"containers": {"app": app}})


def read_question(data: bytes) -> str:
    """Returns the name of the task that the server asks about; empty for any other message."""
    if b'"containers"' not in data:  # nearly all messages are about demand
        return ""
    try:
        asked = parse(data)
    except ConfigError:
        return ""
    asked = asked.get("containers") if isinstance(asked, dict) else None
    name = asked.get("app") if isinstance(asked, dict) else None
    return name if isinstance(name, str) else ""


def container_entries(tasks: Tasks, name: str, now: float) -> list[dict[str, Any]] | None:
    """Returns the containers of the task with that name, at most MAX_SHOWN; None if the scheduler knows their
    number only. The caller holds the lock."""
    if tasks.containers is None:
        return None
    return [
        {
            "id": view.id[:MAX_NAME],
            "name": masked(view.name)[:MAX_NAME],
            "state": view.state,
            "seconds": None if view.age_s is None else max(0, int(view.age_s)),
        }
        | ({"activity": view.activity} if view.activity else {})
        for view in tasks.containers(name)[:MAX_SHOWN]
    ]
