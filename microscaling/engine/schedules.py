"""Opens and closes the windows of all tasks, at each decision.

Pure but for the time of day from `Tasks.wall`; the caller holds the lock of `Tasks`.
"""

from __future__ import annotations

from microscaling.demand.reason import ABOVE_MAXIMUM, Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.demand.windows import next_change

LOOK_AGAIN_S = 3600.0
"""Without a change ahead: as far as one can see may be farther later."""


class Schedules:
    """The tasks with a schedule, and the time until which nothing changes for each."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self._looked = float("-inf")
        """Time of the last look, in seconds since 1970."""
        self._due: dict[Task, float] = {}
        self.follow()

    def follow(self) -> None:
        """Takes over the tasks as they are now; the next look is at all of them."""
        self._due = {task: float("-inf") for task in self.tasks.tasks if task.schedule is not None}

    def apply(self) -> list[str]:
        """Gives each task the limits that it has now. Returns the lines to log."""
        if not self._due:  # mostly: the time of day is not even asked for
            return []
        now = self.tasks.wall()
        if now < self._looked:  # the clock was set back
            self._due = dict.fromkeys(self._due, float("-inf"))
        self._looked = now
        lines: list[str] = []
        for task, due in self._due.items():
            if now >= due:
                self._due[task] = self._look(task, now, lines)
        return lines

    def limit(self) -> bool:
        """Lowers what is above the maximum of a window, also without a reading, or was adopted above equal
        limits; to be called after all other rules. Returns True if any demand changed."""
        # Not left to them: the largest change of one decision is 0 between equal limits, and a task without a
        # reading is moved by none.
        high = [task for task in self.tasks.tasks if task.demand > task.max_containers]
        high = [task for task in high if task.schedule is not None or not (task.max_delta or task.held)]
        # A paused one stays as it is, too, and one that backs off has its demand from the scheduler.
        high = [task for task in high if task.is_scalable and not task.backing_off]
        for task in high:
            most = max(0, task.max_containers)
            task.reason = Reason(ABOVE_MAXIMUM, task.demand, most)
            task.demand = most
        return bool(high)

    def _look(self, task: Task, now: float, lines: list[str]) -> float:
        assert task.schedule is not None
        had = task.window
        changed = task.follow_schedule(now)
        task.changes_at = task.schedule.next_change(now)
        if changed:
            lines.append(f"{task.name}: {_said(task, had is not None)}; {next_change(task)}")
        return now + LOOK_AGAIN_S if task.changes_at is None else task.changes_at[0]


def _said(task: Task, had: bool) -> str:
    if task.window is not None:
        return f"its window {task.window.text} is open: {task.window.limits.words()}"
    return "its window is closed: its own limits again" if had else "no window is open"
