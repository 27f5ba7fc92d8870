"""What an agent's report says of the rules of a task: what they have learned, and its several metrics."""

from __future__ import annotations

import math
from typing import Any

from microscaling.server.limits import MAX_NAME, MAX_REASON, Refused
from microscaling.utils.text import clean

MAX_METRICS = 32
MAX_NUMBER = 2.0**53
NUMBERS = ("promiseSeconds", "arrivals", "rate", "mayWait", "waitSeconds", "longestSeconds", "kept")


def read_learned(data: object) -> dict[str, Any]:
    """Checks what a rule has learned, as `api.learned` writes it. Raises Refused."""
    if not isinstance(data, dict):
        raise Refused("learned: expected an object")
    found: dict[str, Any] = {key: _number(f"learned.{key}", data.get(key)) for key in NUMBERS}
    for key in ("promiseSeconds", "longestSeconds", "kept"):
        if found[key] is None:
            raise Refused(f"learned.{key}: is missing")
    return found | {"exact": data.get("exact") is True}


def read_members(data: object) -> list[dict[str, Any]]:
    """Checks the metrics of a task with several, as `api.members` writes them. Raises Refused."""
    if not isinstance(data, list) or len(data) > MAX_METRICS:
        raise Refused(f"metrics: expected a list of at most {MAX_METRICS}")
    return [_member(each) for each in data]


def _member(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Refused("metrics: expected objects")
    get = data.get
    told: dict[str, Any] = {key: _text(key, get(key), MAX_NAME) for key in ("place", "rule", "metric")}
    told |= {key: _number(key, get(key)) for key in ("reading", "target", "wants")}
    told |= {"decides": get("decides") is True, "problem": _text("problem", get("problem"), MAX_REASON)}
    return told | ({"learned": read_learned(data["learned"])} if "learned" in data else {})


def _number(key: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Refused(f"{key}: expected a number")
    if abs(value) > MAX_NUMBER:
        raise Refused(f"{key}: is too large")
    return value


def _text(key: str, value: object, most: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused(f"{key}: expected text")
    return clean(value[:most])
