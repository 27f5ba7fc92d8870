"""Applies what people have asked for at the control socket: paused and pinned tasks.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`.
"""

from __future__ import annotations

from microscaling.demand.reason import Reason
from microscaling.demand.tasks import Tasks


class Overrides:
    """The tasks whose own limits are replaced at present."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks

    def lift(self) -> None:
        """Gives all tasks their own limits again; called before each decision, and before `apply`."""
        for task in self.tasks.tasks:
            if task.overruled is not None:
                task.overrule(None)

    def apply(self) -> None:
        """Puts all overrides into force."""
        wanted = self.tasks.overrides
        if not wanted:  # mostly
            return
        for task in self.tasks.tasks:
            task.overrule(wanted.get(task.name))
            # The guard raises also a task without a reading, but lowers none.
            if task.override and task.is_scalable and task.demand > task.max_containers:
                before, task.demand = task.demand, task.max_containers
                task.reason = Reason(task.override, before, task.demand)
