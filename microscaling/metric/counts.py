"""Measurements in JSON, as programs of users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement, whole_number
from microscaling.metric.number import items
from microscaling.utils.text import alternatives, one_line, quoted

WAITING, COUNTS, PAUSED = "waiting", ("running", "stuck", "future"), "paused"
KEYS = (WAITING, *COUNTS, PAUSED)


def measurement(found: Mapping[str, Any], what: str, at_least: int | None = None) -> Measurement:
    """Returns the measurement in an object such as {"waiting": 12, "running": 3}; the other keys are `stuck`,
    `future` and `paused`. Raises MetricError, which names `what`."""
    for key in found:
        # A key that is left out of account would be jobs that are not counted.
        if key not in KEYS:
            expected = alternatives(list(KEYS))
            raise MetricError(one_line(f"{what}: {quoted(str(key))} is unknown: expected {expected}"))
    if WAITING not in found:
        raise MetricError(one_line(f"{what}: has no {WAITING}"))
    running, stuck, future = (
        None if found.get(key) is None else whole_number(found[key], f"{what}: {key}") for key in COUNTS
    )
    paused = found.get(PAUSED)
    if paused not in (None, True, False):
        raise MetricError(one_line(f"{what}: {PAUSED}: expected true or false"))
    # A program may well write 12.0, or "12"; but half a job is never running.
    waiting = items(found[WAITING], f"{what}: {WAITING}", at_least)
    return Measurement(waiting, running, stuck or 0, future or 0, bool(paused))
