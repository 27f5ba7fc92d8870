"""The stabilisation window of scaling down: containers are given back only after a time of lower need."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from microscaling.demand.task import Task


class Window:
    """The recommendations for one task in the last `seconds`, relative to its containers at that time: 0 for
    as many, -2 for two fewer. The task gives back only as many as all of them allow, as in Kubernetes'
    HPA."""

    # Relative, because targets are ("two fewer than now"): with absolute numbers each container given back
    # would have to wait for another whole window.
    __slots__ = ("blank", "recommendations", "seconds", "task")

    def __init__(self, task: Task, seconds: float) -> None:
        self.task = task
        self.seconds = seconds
        self.recommendations: deque[tuple[float, int]] = deque()
        """Time and recommendation, only those that no later one exceeds: so the first is the highest."""
        self.blank = True

    def apply(self, now: float) -> None:
        """Raises the task's ideal as far as the window requires; called right after measuring, at `now`
        (seconds). A recommendation for more is not changed."""
        task, wishes = self.task, self.recommendations
        while wishes and wishes[0][0] < now - self.seconds:
            wishes.popleft()
        if task.held or task.falling_back:
            self.blank = self.blank or not wishes
            return
        # A new window, or one without any measurement, starts with a recommendation to stay: no container
        # is given back on a single reading.
        if self.blank:
            self.blank = False
            self._note(now, 0)
        # While containers start, the difference is counted from the ones that already work.
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
    """The windows of all tasks with one: their own, else the default of `default_s` seconds."""

    def __init__(self, tasks: Iterable[Task], default_s: float) -> None:
        self.default_s = default_s
        self._windows: list[Window] = []
        self.follow(tasks, -1)

    def follow(self, tasks: Iterable[Task], since: int) -> None:
        """Takes over the tasks as they are now; windows of those that have been the same since that
        generation go on. The caller holds the lock."""
        old = {(w.task, w.seconds): w for w in self._windows if w.task.generation <= since}
        own = [(t, self.default_s if t.scale_down_window_s is None else t.scale_down_window_s) for t in tasks]
        self._windows = [
            old.get((t, seconds)) or Window(t, seconds)
            for t, seconds in own
            if seconds > 0 and not t.is_remainder()
        ]

    def apply(self, now: float) -> None:
        """Applies all windows, between measuring and allocating. The caller holds the lock."""
        for window in self._windows:
            window.apply(now)
