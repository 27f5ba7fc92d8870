"""Applies what people have asked for at the control socket: paused and pinned tasks.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`.
"""

from __future__ import annotations

from microscaling.demand.override import Override
from microscaling.demand.reason import Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks

Limits = tuple[bool, int, int]
"""Whether a task is scalable, its minimum and its maximum."""


class Overrides:
    """The tasks whose own limits are replaced at present.

    A paused task is like one that is not scalable: no reading moves it, and it gives nothing. For a pinned
    one minimum and maximum are its number, so that the guard raises it as it would to a minimum.
    """

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self._own: dict[Task, Limits] = {}
        self._put: dict[Task, Limits] = {}

    def lift(self) -> None:
        """Gives all tasks their own limits again; called before each decision, and before `apply`."""
        for task, own in list(self._own.items()):
            # With other limits than ours its configuration was changed, and has brought its own.
            if _limits(task) == self._put[task]:
                task.is_scalable, task.min_containers, task.max_containers = own
            task.override, task.own_limits = "", None
        self._own, self._put = {}, {}

    def apply(self) -> None:
        """Puts all overrides into force."""
        wanted = self.tasks.overrides
        if not wanted:  # mostly
            return
        for task in self.tasks.tasks:
            override = wanted.get(task.name)
            if override is not None and task.is_scalable:  # otherwise nothing moves it anyway
                self._own[task] = _limits(task)
                self._override(task, override)
                self._put[task] = _limits(task)

    def _override(self, task: Task, override: Override) -> None:
        task.override = override.words()
        if override.containers is None:
            task.is_scalable = False
            return
        task.own_limits = task.min_containers, task.max_containers
        task.min_containers = task.max_containers = min(override.containers, task.max_containers)
        # The guard raises also a task without a reading, but lowers none.
        if task.demand > task.max_containers:
            before, task.demand = task.demand, task.max_containers
            task.reason = Reason(task.override, before, task.demand)


def _limits(task: Task) -> Limits:
    return task.is_scalable, task.min_containers, task.max_containers
