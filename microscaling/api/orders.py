"""An order of a person at the server's page for a task of an agent that decides by itself: pause, pin.

An addition to the Go agent's messages: {"order": {"app": "p1", "command": "pin", "containers": 3}}. It goes
only to agents that say in their details that they take orders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from microscaling.errors import ConfigError
from microscaling.utils.strict_json import parse

COMMANDS = ("pause", "pin", "resume")


def order(app: str, command: str, **more: Any) -> str:
    """Returns the message; `more`: `containers`, `seconds`, `down`."""
    return json.dumps({"order": {"app": app, "command": command, **more}})


def read_order(data: bytes) -> tuple[str, Mapping[str, str]] | None:
    """Returns the command and its parameters, as the control socket takes them; None for any other message,
    and for one that makes no sense."""
    if b'"order"' not in data:  # nearly all messages are about demand
        return None
    try:
        message = parse(data)
    except ConfigError:
        return None
    told = message.get("order") if isinstance(message, dict) else None
    if (
        not isinstance(told, dict)
        or told.get("command") not in COMMANDS
        or not isinstance(told.get("app"), str)
    ):
        return None
    # As the control socket takes them: one place checks both.
    query = {"task": told["app"]}
    for key in ("containers", "seconds"):
        value = told.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            query[key] = str(value)
    if told.get("down") is True:
        query["down"] = "true"
    return told["command"], query
