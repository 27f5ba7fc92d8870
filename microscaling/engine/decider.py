"""One decision: from readings to demand."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from microscaling.demand.history import note
from microscaling.demand.reason import Reason, explained
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine import scaling
from microscaling.engine.advances import Advances
from microscaling.engine.fallback import Fallbacks
from microscaling.engine.overrides import Overrides
from microscaling.engine.poll import Poll, Reading
from microscaling.engine.readings import Readings
from microscaling.engine.reserves import reserved
from microscaling.engine.rest import Rests
from microscaling.engine.schedules import Schedules
from microscaling.engine.status import Status
from microscaling.engine.steps import AllSteps
from microscaling.engine.window import Windows

log = logging.getLogger("mssengine")
status_log = logging.getLogger("mssdemand")

Change = tuple[str, int, int, Reason | None]
"""A task's name, its demand before and after, and the reason."""


class Decider:
    """Turns readings into demand, with reasons; has no threads and no clock.

    Both methods take the lock, and return True if any demand changed. `scale_down_window_s`: stabilisation
    window (seconds) of the scale-down of tasks without one of their own.
    """

    def __init__(self, tasks: Tasks, readings: Readings, scale_down_window_s: float = 0.0) -> None:
        self.tasks = tasks
        self.readings = readings
        self.fallbacks = Fallbacks(readings)
        self.windows = Windows(tasks.tasks, scale_down_window_s)
        self.rests = Rests(tasks.tasks, scale_down_window_s)
        self.steps = AllSteps(tasks.tasks)
        self.status = Status(tasks)
        self.overrides = Overrides(tasks)
        self.advances = Advances()
        self.schedules = Schedules(tasks)

    def follow(self, since: int) -> None:
        """Takes over the tasks as they are now, after `readings` has followed them; all that belongs to those
        that have been the same since that generation stays. The caller holds the lock."""
        self.overrides.lift()  # the others look at what a task may do by itself
        self.fallbacks.follow()
        self.windows.follow(self.tasks.tasks, since)
        self.rests.follow(self.tasks.tasks, since)
        self.steps.follow(self.tasks.tasks)
        self.status.follow(since)
        self.schedules.follow()
        self.tasks.obey()  # the next beat may have to wait for readings

    def beat(self, now: float) -> bool:
        """Measures at `now` (seconds), and shares the cap anew."""
        self.readings.judge(now)
        with self.tasks as tasks:
            tasks.changed.clear()
            before = demands_of(tasks)
            self.overrides.lift()
            opened = self.schedules.apply()
            self.overrides.apply()
            failed = self.readings.apply()
            in_force = self.fallbacks.apply(now)
            scaling.measure(tasks, now)
            self.advances.settle()
            self.windows.apply(now)
            given_up = self.rests.look(now)
            self.steps.apply(now)
            with reserved(tasks):
                changed = not tasks.hold and scaling.allocate(tasks)
                changed = (not tasks.hold and scaling.guard(tasks)) or changed
                changed = (not tasks.hold and self.rests.fill(tasks)) or changed
            changed = (not tasks.hold and self.schedules.limit()) or changed
            changes = changes_since(before)
            count_changes(tasks, before, changes, now)
            lines = self.status.look(now)
        # Logged after the lock is released, as logging is I/O.
        self.fallbacks.say()
        for line in opened:  # before the changes, as they may be its effect
            log.info("%s", line)
        say(changes)
        for line in given_up:
            log.warning("%s", line)
        for line in lines:
            status_log.info("%s", line)
        held = failed - in_force
        count = len(before[0])
        log.debug("%d tasks: %d change, %d held, %d fallback", count, len(changes), held, in_force)
        return changed

    def early(self, now: float, polls: Iterable[Poll], seen: Iterable[tuple[Poll, Reading]] = ()) -> bool:
        """Decides between two beats, at `now` (seconds), for the tasks of sources that have answered, or of
        which an answer was `seen`: those that need more get it at once. The next beat decides as if this had
        not been."""
        rows = self.readings.judge_early(polls, now)
        with self.tasks as tasks:
            tasks.changed.clear()
            before = demands_of(tasks)
            rows += self.readings.judge_seen(seen, now)
            moved = self.advances.measure(rows, now)
            self.steps.apply(now, of=moved)
            with reserved(tasks):
                changed = not tasks.hold and scaling.reallocate(tasks)
                changed = (not tasks.hold and bool(moved) and self.rests.fill(tasks)) or changed
            self.advances.note(moved)
            changes = changes_since(before)
            count_changes(tasks, before, changes, now)
        say(changes)
        return changed

    def reallocate(self, now: float | None = None) -> bool:
        """Decides between two beats, after the scheduler has updated `running` or `requested`. `now`
        (seconds) is only for the metrics."""
        with self.tasks as tasks:
            tasks.changed.clear()
            before = demands_of(tasks)
            with reserved(tasks):
                changed = not tasks.hold and scaling.reallocate(tasks)
            changes = changes_since(before)
            if now is not None:
                count_changes(tasks, before, changes, now)
        say(changes)
        return changed


# Three lists, as a tuple for each of thousands of tasks would keep the garbage collector busy.
Before = tuple[list[Task], list[int], list[Reason | None]]
"""The tasks, their demands and their reasons before a decision."""


def demands_of(tasks: Tasks) -> Before:
    """Copies the demands for `changes_since`. The caller holds the lock."""
    each = tasks.tasks
    return list(each), [task.demand for task in each], [task.reason for task in each]


def changes_since(before: Before) -> list[Change]:
    """Returns the net changes of a decision, for the log, and keeps them for people to read. The caller holds
    the lock."""
    changes = []
    for task, demand, reason in zip(*before, strict=True):
        # A decision may change a demand more than once. Without a net change the old reason holds again.
        if task.demand == demand:
            task.reason = reason
        else:
            task.reason = explained(task.reason, demand)
            note(task.history, demand, task.demand, task.reason)
            changes.append((task.name, demand, task.demand, task.reason))
    return changes


def count_changes(tasks: Tasks, before: Before, changes: list[Change], now: float) -> None:
    """Counts the changes of a decision, if there are metrics. The caller holds the lock."""
    if tasks.tally is not None:
        tasks.tally.decided(changes)
        tasks.tally.follow(before[0], before[1], now)


def say(changes: list[Change]) -> None:
    """Logs each change in one line."""
    for name, before, after, reason in changes:
        log.info("%s: %d -> %d (%s)", name, before, after, reason)
