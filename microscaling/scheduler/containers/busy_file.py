"""The meaning of a busy file: a job in progress, or the remains of a worker that is dead."""

from __future__ import annotations

import re

from microscaling.demand.drain import Activity

UNTIL = re.compile(rb"\s*([0-9]{1,12}(?:\.[0-9]{0,9})?)\s*")
MAX_BYTES = 64
"""A longer file has no time in it."""
SLACK_S = 2.0
"""A container begins to write files before its engine notes the time of its start."""


def until_in(content: bytes) -> float | None:
    """Returns the time in a file, Unix seconds, until which its container is busy; None if it has none."""
    found = UNTIL.fullmatch(content)
    return float(found[1]) if found else None


def activity_of(
    changed: float, until: float | None, now: float, started: float | None, most_s: float
) -> Activity:
    """Returns the activity of a container with a busy file. Times are Unix seconds by one clock: the file's
    last change, the time in it if there is one, now, and the container's start; None if it is not known."""
    if started is not None and changed < started - SLACK_S:  # it was left by the container's earlier life
        return Activity.IDLE
    if until is not None:
        return Activity.BUSY if now < until else Activity.IDLE
    return Activity.BUSY if now - changed < most_s else Activity.IDLE
