"""Containers that are frozen in place of being stopped: when, how many, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

YIELD_S = 300.0
"""Longest time for which a container is frozen without a setting."""


@dataclass(frozen=True, slots=True)
class Yielding:
    """A task whose containers are frozen when it gives way, and thawed when it gets its places back."""

    most: int
    """How many of them are frozen at the same time."""
    seconds: float = YIELD_S
    """Seconds for which one is frozen; then it is ended."""
    leased: bool = False
    """Its jobs are given to others after a while: what has waited for too long does not go on with one."""
    waits: bool = False
    """One is frozen only once it takes no new job and is idle; else at once, in the midst of its work."""
