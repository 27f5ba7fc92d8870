"""What a scheduler knows of single containers, for people to read. No decision depends on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Failure:
    """The last failure of a task's containers. Times in monotonic seconds."""

    why: str
    at: float
    exit_code: int | None = None
    """None if it did not start, or its code is not known."""
    lines: str = ""
    """The last lines of its output, without the values of secrets."""
    retry_at: float | None = None
    """The time of the next try; None: at once, or as soon as its image is there."""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container, or one process."""

    id: str
    name: str
    state: str
    age_s: float | None
    """Seconds since its start; None if it has not started, or ran before this agent."""
    activity: str = ""
    """`busy`, `idle` or `unknown`; empty if its task has no sign of it, or no look was made lately."""
