"""Waiting to see whether a task can really do with fewer: the stabilisation window of scaling down."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from microscaling.demand.task import Task


class Window:
    """What one task would have had, by each measurement of the last `seconds`, counted from what it had
    just then: 0, as many; -2, two fewer.

    It gives back only what every one of them could do without: the highest counts, as in Kubernetes.
    They are counted from what it has because that is what targets say (two fewer than now): as plain
    numbers, each container given back would have to wait for another whole window.

    A window that has just begun, or in which there was no measurement at all, is taken to have begun
    with a wish to stay, so nothing is given back on a single reading.
    """

    __slots__ = ("blank", "recommendations", "seconds", "task")

    def __init__(self, task: Task, seconds: float) -> None:
        self.task = task
        self.seconds = seconds
        self.recommendations: deque[tuple[float, int]] = deque()
        """When, and how many more or fewer; only those that no later one exceeds, so the first is
        the highest."""
        self.blank = True

    def apply(self, now: float) -> None:
        """Right after measuring, at `now` (seconds): raises the task's ideal as far as the window
        wants it. A wish for more is not touched."""
        task, wishes = self.task, self.recommendations
        while wishes and wishes[0][0] < now - self.seconds:
            wishes.popleft()
        if task.held or task.falling_back:
            self.blank = self.blank or not wishes
            return
        if self.blank:
            self.blank = False
            self._note(now, 0)
        # While containers start, what the task is short of is counted from those that do their work.
        wish = task.ideal_containers - (task.requested if task.settled else task.serving())
        if wish < 0 and not task.target.exceeding(task.metric.current):
            wish = 0  # not comfortable enough to give any back
        self._note(now, wish)
        highest = wishes[0][1]
        if wish < 0 and wish < highest:
            task.ideal_containers = task.requested + min(0, highest)

    def _note(self, now: float, wish: int) -> None:
        while self.recommendations and self.recommendations[-1][1] <= wish:
            self.recommendations.pop()
        self.recommendations.append((now, wish))


class Windows:
    """The windows of all tasks that have one: their own, else that of `default_s` seconds."""

    def __init__(self, tasks: Iterable[Task], default_s: float) -> None:
        own = [(t, default_s if t.scale_down_window_s is None else t.scale_down_window_s) for t in tasks]
        self._windows = [Window(t, seconds) for t, seconds in own if seconds > 0 and not t.is_remainder()]

    def apply(self, now: float) -> None:
        """Between measuring and allocating. The caller holds the lock."""
        for window in self._windows:
            window.apply(now)
