"""The demand message: the number of containers that the server wants of each task.

The form is the Go agent's: {"demand": {"tasks": [{"app": "p1", "demandCount": 7}]}}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.api.schema.section import shown
from microscaling.errors import ConfigError, MicroscalingError
from microscaling.utils.strict_json import parse
from microscaling.utils.text import one_line

MAX_CONTAINERS = 1_000_000
"""Most containers of one task in a message; more is taken for a mistake."""


class BadMessage(MicroscalingError):
    """An invalid message, of which no part is used."""


def read_demand(data: bytes) -> dict[str, int]:
    """Returns containers by name of the task; empty if the message has another subject. Raises BadMessage
    if any part is wrong.

    Keys match in upper or lower case, unknown keys are ignored, and the last of repeated tasks counts. A
    missing count is an error; the Go agent reads it as 0.
    """
    try:
        message = _object(parse(data), "the message")
    except ConfigError as error:
        raise BadMessage(str(error)) from None
    demand = _object(_get(message, "demand"), "demand")
    tasks = _get(demand, "tasks")
    if tasks is None:
        return {}
    if not isinstance(tasks, list):
        raise BadMessage(f"demand.tasks: expected a list, got {shown(tasks)}")
    return dict(_entry(entry, f"demand.tasks[{i}]") for i, entry in enumerate(tasks))


def _entry(entry: Any, place: str) -> tuple[str, int]:
    entry = _object(entry, place)
    name, count = _get(entry, "app"), _get(entry, "demandCount")
    if not isinstance(name, str):
        raise BadMessage(f"{place}.app: expected text, got {shown(name)}")
    # A bool is an int for Python, but no count.
    whole = isinstance(count, int) and not isinstance(count, bool)
    if not whole or not 0 <= count <= MAX_CONTAINERS:
        raise BadMessage(
            f"{place}.demandCount: expected a whole number from 0 to {MAX_CONTAINERS}, got {shown(count)}"
        )
    return name, count


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise BadMessage(f"{one_line(place)}: expected an object, got {shown(value)}")
    return value or {}


def _get(data: Mapping[str, Any], key: str) -> Any:
    """Returns the value of a key in upper or lower case; None if there is none."""
    # The usual spelling first: there can be many thousands of these calls a second.
    if key in data:
        return data[key]
    return next((value for found, value in data.items() if found.casefold() == key.casefold()), None)
