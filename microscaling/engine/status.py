"""Lines that explain missing containers, for the log and the health file: a task's reading, and the reason
why it is short."""

from __future__ import annotations

from collections.abc import Iterable

from microscaling.demand.obstacle import obstacle, shortage, waits
from microscaling.demand.reason import judged
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks

REMIND_EVERY_S = 60.0
MAX_FIRST = 50
MAX_TASKS = 100
"""Most tasks in the health file."""
MAX_LINE = 300
MAX_SHORT = 10
"""Lines a minute, the most important tasks first."""


class Status:
    """Collects lines: one for each task after its first reading, and once a minute one for each task that has
    been short of containers for a minute, with the obstacle."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self._unread: dict[Task, None] = {}
        self._first = 0
        self._due = float("-inf")
        self._short: dict[Task, None] = {}
        """Those that were short at the last look."""
        self.follow(-1)

    def follow(self, since: int) -> None:
        """Takes over the tasks as they are now: those that are new since that generation get their first line
        after their first reading. The caller holds the lock."""
        self._unread = {
            task: None
            for task in self.tasks.tasks
            if (task in self._unread or task.generation > since) and not task.is_remainder()
        }

    def look(self, now: float) -> list[str]:
        """Returns the lines that are due at `now` (seconds), right after a decision. The caller holds the
        lock, and logs them without it."""
        lines = list(self._first_readings()) if self._unread else []
        if now < self._due:
            return lines
        if self._due > float("-inf"):
            lines += self._reminders()
        self._due = now + REMIND_EVERY_S
        return lines

    def _first_readings(self) -> Iterable[str]:
        for task in [task for task in self._unread if not task.held]:
            del self._unread[task]
            self._first += 1
            if self._first <= MAX_FIRST:
                yield f"{task.name}: {_state(task)}"

    def _reminders(self) -> Iterable[str]:
        short = {task: None for task in self.tasks.by_priority() if _is_short(task)}
        again = [task for task in short if task in self._short]
        self._short = short
        for task in again[:MAX_SHORT]:
            yield f"{task.name}: {_state(task)}; {obstacle(task, self.tasks)}"
        if len(again) > MAX_SHORT:
            yield f"{len(again) - MAX_SHORT} more tasks have been short for a minute"


def in_detail(tasks: Tasks) -> list[tuple[str, float | None]]:
    """Returns one line for each task, with the time of its reading (None: it has none), the most important
    first. The caller holds the lock."""
    ordered = tasks.by_priority()
    lines = [(_detail(task, tasks)[:MAX_LINE], task.measured_at) for task in ordered[:MAX_TASKS]]
    if len(ordered) > MAX_TASKS:
        lines.append((f"and {len(ordered) - MAX_TASKS} more tasks", None))
    return lines


def _detail(task: Task, tasks: Tasks) -> str:
    """As in: mailer: queue 90 of target 10, 4 of 4 run (0..8); wants 2 more: the cap, 12, is used up."""
    runs = f"{task.running} of {task.demand} run ({task.min_containers}..{task.max_containers})"
    line = f"{task.name}: {runs}" if task.held else f"{task.name}: {_reading(task)}, {runs}"
    wants = shortage(task)
    if task.override:
        return f"{line}; {task.override}"
    if task.falling_back:
        return f"{line}; fallback: {task.falling_back}"
    if task.held:
        return f"{line}; held: {task.held}"
    if task.resting:
        return f"{line}; {task.resting}"
    if task.backing_off:
        return f"{line}; backing off{f': {task.failure.why}' if task.failure else ''}"
    if task.metric.lacking:
        return f"{line}; no fewer, as it lacks a metric: {task.metric.lacking}"
    if wants and not task.is_remainder():
        return f"{line}; wants {wants} more: {obstacle(task, tasks)}"
    waiting = waits(task, tasks) or task.unplaced
    return f"{line}; {waiting}" if waiting else line


def _reading(task: Task) -> str:
    return judged(task.target, task.metric.current, task.metric.measured)


def _is_short(task: Task) -> bool:
    """Whether it wants more containers than it has, or cannot be measured."""
    if task.is_remainder() or task.falling_back:
        return False
    return bool(task.held) or shortage(task) > 0


def _state(task: Task) -> str:
    """As in: queue 15 of target 10, 0 of 0..4 run: wants 1."""
    runs = f"{task.running} of {task.min_containers}..{task.max_containers} run"
    if task.held:
        return runs
    wants = shortage(task)
    return f"{_reading(task)}, {runs}" + (f": wants {wants}" if wants else "")
