"""Containers that a task gets between two beats, in advance of the next one.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from microscaling.demand.task import Task
from microscaling.engine.row import Row
from microscaling.target.base import Observation

Given = tuple[int, int]
"""The containers that a task was given early, and those that it had for its work then."""


class Advances:
    """The containers that were given early, by task.

    The rules of the Go agent take a step at each beat, by the readings of the beats. An early look has the
    step of the coming beat taken now, by a copy of the rule: neither its state nor the sum of its steps
    changes, so that the decisions at the beats are those without early looks.
    """

    def __init__(self) -> None:
        self._given: dict[Task, Given] = {}

    def measure(self, rows: Sequence[Row], now: float) -> dict[Task, int]:
        """Takes over the readings, and computes the ideals of the tasks that need more containers. Returns
        these, with their present demand."""
        moved: dict[Task, int] = {}
        for row in rows:
            task, ideal = row.task, self._ideal(row, now)
            # Any other task keeps the reading of the beat, by which it may still be moved.
            if ideal > max(task.requested, task.demand):
                row.apply()
                task.ideal_containers, task.settled, task.reallocated = ideal, True, False
                moved[task] = task.demand
        return moved

    def note(self, moved: dict[Task, int]) -> None:
        """Notes the containers that the tasks have got, given their demand before."""
        for task, before in moved.items():
            if task.demand > before:
                self._given[task] = task.demand - before, task.serving()

    def settle(self) -> None:
        """Takes the advances off the steps of the beat; called right after its measurement."""
        for task, (given, served) in self._given.items():
            wants = task.ideal_containers
            if task.target.by_delta and not task.held and wants > task.requested:
                # Only those that run already are in the number to which the step was added.
                advance = max(0, min(given, task.serving() - served))
                task.ideal_containers = max(task.requested, wants - advance)
        self._given = {}

    def _ideal(self, row: Row, now: float) -> int:
        """Returns the number of containers by the new reading; 0 for a task that must not move now."""
        task, serving = row.task, row.task.serving()
        unsettled = serving != task.requested and not task.overdue and not task.target.absolute
        paused = row.measured is not None and row.measured.paused
        if task.held or unsettled or task.override or task.falling_back or paused:
            return 0
        if row.value <= task.activation and task.requested <= 0:
            return 0
        if task.target.by_delta:
            wants = serving + copy.deepcopy(task.target).delta(row.value)
        else:
            wants = task.target.decide(
                Observation(
                    row.value,
                    serving,
                    task.requested,
                    row.beats * row.beat_s,
                    row.measured,
                    now,
                    row.taken,
                )
            )
        # As at a beat: what waits keeps one container, however far it is below the target.
        return max(wants, 1) if row.value > task.activation else wants
