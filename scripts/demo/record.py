"""What the demo has seen: the state of every task over time, the decisions, and what came of them."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, replace

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks

PREFIX = re.compile(r"demo-[0-9a-f]{4}-")
"""Of the tasks' names, so that a demo meets neither a real service of yours nor another demo; not shown."""
MAX_KEPT = 36_000
"""Moments and lines: an hour's."""


@dataclass(frozen=True)
class Row:
    """One task at one moment. Counts are containers, the queue's are items."""

    name: str
    priority: int
    demand: int
    requested: int
    running: int
    queue: int | None
    target: int | None
    held: str
    backing_off: bool

    @classmethod
    def of(cls, task: Task) -> Row:
        """Call it with the lock held."""
        length = getattr(task.target, "length", None)
        return cls(
            PREFIX.sub("", task.name),
            task.priority,
            task.demand,
            task.requested,
            task.running,
            None if length is None else task.metric.current,
            length,
            task.held,
            task.backing_off,
        )

    @property
    def state(self) -> str:
        """In a word or two; empty: as wanted."""
        if self.backing_off:
            return "backing off"
        if self.held:
            return "held"
        if self.running < self.demand:
            return f"starting {self.demand - self.running}"
        return f"stopping {self.running - self.demand}" if self.running > self.demand else ""


@dataclass(frozen=True)
class Moment:
    """All tasks at one time (seconds since the start), the most important first."""

    at: float
    rows: tuple[Row, ...]

    @property
    def running(self) -> int:
        """Containers of all tasks."""
        return sum(row.running for row in self.rows)

    def of(self, name: str) -> Row:
        """One of the tasks."""
        return next(row for row in self.rows if row.name == name)


@dataclass(frozen=True)
class Line:
    """Something worth telling: a decision with its reason, or a warning of the agent's."""

    at: float
    name: str
    change: str
    why: str
    warning: bool = False


class Record:
    """All that was seen of a run, by looking at the tasks again and again."""

    def __init__(self, cap: int, noun: str) -> None:
        self.cap = cap
        self.noun = noun
        self.began = time.monotonic()
        self.moments: list[Moment] = []
        self.lines: list[Line] = []
        self.most = 0
        """Containers that ran at once."""
        self.decisions = 0
        self._last: dict[str, tuple[int, object]] = {}

    def begin(self) -> None:
        """Time counts from now."""
        self.began = time.monotonic()

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def look(self, tasks: Tasks) -> None:
        """Keeps the state as it is now, and what was decided since the last look."""
        with tasks:
            ordered = sorted(tasks.tasks, key=lambda task: task.priority)
            rows = tuple(Row.of(task) for task in ordered)
            reasons = [task.reason for task in ordered]
        self.moments.append(Moment(self.now(), rows))
        self.most = max(self.most, self.moments[-1].running)
        for row, reason in zip(rows, reasons, strict=True):
            before, told = self._last.get(row.name, (0, None))
            if row.demand != before and reason is not None and reason is not told:
                self.decisions += 1
                self.tell(Line(self.now(), row.name, f"{before} → {row.demand}", str(reason)))
            self._last[row.name] = (row.demand, reason)
        del self.moments[:-MAX_KEPT], self.lines[:-MAX_KEPT]

    def forget_after(self, at: float) -> None:
        """The picture that stays is that of the end, not of the tidying up."""
        self.moments = [moment for moment in self.moments if moment.at <= at]

    def tell(self, line: Line) -> None:
        """Something to show, from any thread."""
        self.lines.append(replace(line, why=PREFIX.sub("", line.why)))


class Warnings(logging.Handler):
    """Takes the agent's warnings into the record: on the terminal they would spoil the table."""

    def __init__(self, record: Record) -> None:
        super().__init__(logging.WARNING)
        self.record = record

    def emit(self, record: logging.LogRecord) -> None:
        what = record.levelname.lower()
        self.record.tell(Line(self.record.now(), "", what, record.getMessage(), warning=True))
