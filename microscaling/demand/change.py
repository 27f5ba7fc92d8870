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

    def __bool__(self) -> bool:
        return bool(self.tasks or self.gone or self.left)
