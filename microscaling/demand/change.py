"""A change of the configuration while the agent runs."""

from __future__ import annotations

from dataclasses import dataclass

from microscaling.demand.task import Task


@dataclass(frozen=True)
class Change:
    """The tasks that come, have another configuration, or go."""

    tasks: tuple[Task, ...] = ()
    """New tasks, and those that take the configuration of the task with their name."""
    gone: frozenset[str] = frozenset()
    """Names of tasks that are no more: the containers that the agent has made for them go."""
    left: frozenset[str] = frozenset()
    """Names of tasks that are not scaled any more: their running containers stay."""
    cap: int | None = None
    """The new cap of all tasks; None: it stays."""
    order: tuple[str, ...] = ()
    """The names of all tasks in their new order; empty: it stays, and new ones come last."""

    def __bool__(self) -> bool:
        return bool(self.tasks or self.gone or self.left or self.order) or self.cap is not None
