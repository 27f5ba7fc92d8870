"""What was measured, when, and whether it can be trusted now."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from microscaling.demand.task import Task
from microscaling.errors import MetricError
from microscaling.metric.base import Source, whole_number
from microscaling.utils.episode import Episode

log = logging.getLogger("mssengine")

NOT_YET = "not measured yet"
NAMES = 5
"""How many tasks a log line names at most."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source answered, or why it did not."""

    taken: float
    answer: Any = None
    error: str = ""


class Poll:
    """One source: its last reading, and the request under way.

    `start` is called by the engine, `finish` by whoever asks the source; `busy` says whose turn it
    is, so neither needs a lock.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.reading: Reading | None = None
        self.busy = False
        self.in_time = True
        """It answered within the engine's patience when last asked, so it is worth waiting for."""
        self._asked = 0.0
        self._patience_s = 0.0

    def start(self, now: float, patience_s: float) -> None:
        """It is being asked from `now` on."""
        self._asked, self._patience_s = now, patience_s
        self.busy = True

    def finish(self, now: float, answer: Any = None, error: str = "") -> None:
        """It has answered, or failed."""
        self.reading = Reading(now, answer, error)
        self.in_time = now - self._asked <= self._patience_s
        self.busy = False

    def ask(self, clock: Callable[[], float]) -> None:
        """Asks the source, however long that takes, and keeps what comes of it. Never raises."""
        try:
            answer = self.source.fetch()
        except MetricError as error:
            self.finish(clock(), error=str(error))
        except Exception as error:  # a metric must not be able to end the engine
            log.debug("%s failed in an unexpected way", self.source.name, exc_info=True)
            self.finish(clock(), error=f"{self.source.name}: {type(error).__name__}: {error}")
        else:
            self.finish(clock(), answer)

    def trouble(self, reading: Reading | None, now: float, max_age_s: float) -> str:
        """Why a reading of it cannot be used at `now`; empty: it can be."""
        if reading is None:
            return f"{self.source.name}: no answer yet"
        if reading.error:
            return reading.error
        if now - reading.taken > max_age_s:
            return f"{self.source.name}: no answer for more than {max_age_s:g} s"
        return ""


class Row:
    """One task that is measured: what its value is now, or why there is none."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.value = 0
        self.trouble = NOT_YET
        self.told = Episode()
        self.ours = ""
        """What was written to `task.held`: a hold that is not ours is left alone."""
        if not task.held:  # a monitor may send the task before it is measured
            task.held = self.ours = NOT_YET
        self.gap = False
        """It was held when last looked at, or that is long ago: its target knows of no recent measurement."""

    def judge(self, reading: Reading, now: float) -> None:
        """Finds the task's own value in a good reading. Says so once if that fails."""
        try:
            self.value = whole_number(self.task.metric.read(reading.answer), "measurement")
            self.trouble = ""
        except Exception as error:  # a metric must not be able to end the engine
            self.trouble = str(error) if isinstance(error, MetricError) else repr(error)
        if self.trouble:
            if self.told.fails(now):
                log.warning("%s held: %s", self.task.name, self.trouble)
        elif self.told.works():
            log.info("%s measured again", self.task.name)

    def apply(self) -> None:
        """Writes the value, or the hold, to the task. The caller holds the lock."""
        task = self.task
        if not task.held or task.held == self.ours:
            task.held = self.ours = self.trouble
        if not self.trouble:
            task.metric.current = self.value
        if self.gap and not task.held:
            task.target.reset()
        self.gap = bool(task.held)


class Readings:
    """The readings of all tasks: whom to ask, whom to wait for, and what their answers mean.

    Knows neither clock nor threads. `max_age_s`: a reading older than that counts for nothing.
    """

    def __init__(self, tasks: Iterable[Task], max_age_s: float) -> None:
        self.max_age_s = max_age_s
        polls: dict[object, tuple[Poll, list[Row], Episode]] = {}
        for task in tasks:
            source = task.metric.source
            if source is not None:
                if source.key not in polls:
                    polls[source.key] = (Poll(source), [], Episode())
                polls[source.key][1].append(Row(task))
        self._judged = math.inf
        self._groups = list(polls.values())
        self.polls = [poll for poll, _, _ in self._groups]

    def rows(self) -> list[Row]:
        """The tasks that are measured."""
        return [row for _, rows, _ in self._groups for row in rows]

    def start(self, now: float, patience_s: float) -> list[Poll]:
        """The sources to ask now: all that are not still busy with the last request."""
        idle = [poll for poll in self.polls if not poll.busy]
        for poll in idle:
            poll.start(now, patience_s)
        return idle

    def awaited(self) -> bool:
        """Whether an answer is still to come that is worth waiting for."""
        return any(poll.busy and poll.in_time for poll in self.polls)

    def give_up(self) -> None:
        """The wait is over: who has not answered is not waited for until it has again."""
        for poll in self.polls:
            if poll.busy:
                poll.in_time = False

    def judge(self, now: float) -> None:
        """Works out each task's value, or why there is none, and says once what fails and what
        works again. Without the lock: nothing of the tasks is written."""
        if now - self._judged > self.max_age_s:  # beats were missed, say because the process was frozen
            for row in self.rows():
                row.gap = True
        self._judged = now
        for poll, rows, told in self._groups:
            reading = poll.reading  # once: a new one may come at any time
            trouble = poll.trouble(reading, now, self.max_age_s)
            if trouble:
                if told.fails(now):
                    log.warning("%s held: %s", _names(rows), trouble)
                for row in rows:
                    row.trouble = trouble
            elif reading is not None:
                if told.works():
                    log.info("%s answers again: %s measured again", poll.source.name, _names(rows))
                for row in rows:
                    row.judge(reading, now)

    def apply(self) -> int:
        """Writes what was judged to the tasks, and returns how many are held. The caller holds the
        lock."""
        held = 0
        for _, rows, _ in self._groups:
            for row in rows:
                row.apply()
                held += bool(row.trouble)
        return held


def few(names: list[str]) -> str:
    """The first of these, and how many more there are, for a log line."""
    named = ", ".join(names[:NAMES])
    return named if len(names) <= NAMES else f"{named} and {len(names) - NAMES} more"


def _names(rows: list[Row]) -> str:
    return few([row.task.name for row in rows])
