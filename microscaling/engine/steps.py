"""The limits of how fast a task may add containers, or give them back."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable

from microscaling.demand.task import Task


class Steps:
    """The last changes of one task with a limit, as in Kubernetes' HPA. They hold for what the task itself
    wants: others may take more from it, and its minimum comes at once."""

    __slots__ = ("_at", "_changes", "_last", "task")

    def __init__(self, task: Task) -> None:
        self.task = task
        self._last, self._at = task.demand, float("-inf")
        self._changes: deque[tuple[float, int]] = deque()
        """Time and number of containers of each change of its demand; negative if it gave back."""

    def apply(self, now: float) -> None:
        """Limits the ideal; called after all that may change it, at `now` (seconds)."""
        task, changes = self.task, self._changes
        if task.demand != self._last:
            # The change was made right after the last look.
            changes.append((self._at, task.demand - self._last))
            self._last = task.demand
        self._at = now
        longest = max(limit.seconds for limit in (task.scale_up, task.scale_down) if limit is not None)
        while changes and changes[0][0] <= now - longest:
            changes.popleft()
        if task.held:
            return
        if task.scale_up is not None:
            since = now - task.scale_up.seconds
            begin = task.demand - sum(count for at, count in changes if count > 0 and at > since)
            task.ideal_containers = min(
                task.ideal_containers, max(task.demand, begin + task.scale_up.most(max(0, begin)))
            )
        if task.scale_down is not None:
            since = now - task.scale_down.seconds
            begin = task.demand - sum(count for at, count in changes if count < 0 and at > since)
            task.ideal_containers = max(
                task.ideal_containers, min(task.demand, begin - task.scale_down.most(max(0, begin)))
            )


class AllSteps:
    """The limits of all tasks that have one."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._steps: list[Steps] = []
        self.follow(tasks)

    def follow(self, tasks: Iterable[Task]) -> None:
        """Takes over the tasks as they are now. The caller holds the lock."""
        old = {steps.task: steps for steps in self._steps}
        limited = [task for task in tasks if task.scale_up is not None or task.scale_down is not None]
        self._steps = [old.get(task) or Steps(task) for task in limited]

    def apply(self, now: float, of: Container[Task] | None = None) -> None:
        """Applies all limits, or those of some tasks, between measuring and allocating. The caller holds the
        lock."""
        for steps in self._steps:
            if of is None or steps.task in of:
                steps.apply(now)
