"""The last changes of a task's demand, for people to read. No decision depends on them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from microscaling.demand.reason import Reason

KEPT = 20


@dataclass(frozen=True, slots=True)
class Decision:
    """One change of demand (containers)."""

    at: float
    """Seconds since 1970."""
    before: int
    after: int
    reason: Reason | None


def note(history: list[Decision], before: int, after: int, reason: Reason | None) -> None:
    """Adds the change that was just made, and drops the oldest. The caller holds the lock of `Tasks`."""
    # Not a deque, which takes 600 bytes even for a task without a change, and there can be thousands.
    history.append(Decision(time.time(), before, after, reason))
    if len(history) > KEPT:
        del history[0]
