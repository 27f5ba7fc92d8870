"""The meaning of a busy file: a job in progress, or the remains of a worker that is dead."""

from __future__ import annotations

import re

from microscaling.demand.drain import Activity

UNTIL = re.compile(rb"\s*([0-9]{1,12}(?:\.[0-9]{0,9})?)\s*")
MAX_BYTES = 64
"""A longer file has no time in it."""


def until_in(content: bytes) -> float | None:
    """Returns the time in a file, Unix seconds, until which its container is busy; None if it has none."""
    found = UNTIL.fullmatch(content)
    return float(found[1]) if found else None


def activity_of(
    changed: float, until: float | None, now: float, ended: float | None, most_s: float
) -> Activity:
    """Returns the activity of a container with a busy file. Times are Unix seconds by one clock: the file's
    last change, the time in it if there is one, now, and the end of the container's earlier life; None if
    there was none."""
    # Not by its start: on a busy machine an engine notes that seconds after the first files are written.
    if ended is not None and changed <= ended:
        return Activity.IDLE
    if until is not None:
        return Activity.BUSY if now < until else Activity.IDLE
    return Activity.BUSY if now - changed < most_s else Activity.IDLE
