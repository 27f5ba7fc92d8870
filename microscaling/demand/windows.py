"""The windows of a task in words, for people."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.utils.local_time import local_of


def in_window(task: Task) -> str:
    """Describes the open window and the next change; "" for a task without a schedule."""
    if task.schedule is None:
        return ""
    window = task.window
    is_open = (
        "no window is open" if window is None else f"in its window {window.text} ({window.limits.words()})"
    )
    return f"{is_open}; {next_change(task)}"


def next_change(task: Task) -> str:
    """Describes the next change of its limits, as in: next at Mon 2026-11-30 08:00: minContainers 4; "" for a
    task without a schedule."""
    if task.schedule is None:
        return ""
    if task.changes_at is None:
        return "no change ahead"
    at, window = task.changes_at
    # In the zone that the person has written, else of the window that closes.
    zone = (window or task.window or task.schedule.windows[0]).zone
    when = local_of(at, zone).strftime("%a %Y-%m-%d %H:%M")
    return f"next at {when}: {'its own limits' if window is None else window.limits.words()}"
