"""Readings: the measured values, their times, and whether they can still be used."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable
from typing import Any

from microscaling.demand.task import Task
from microscaling.engine import glance
from microscaling.engine.each import row_of
from microscaling.engine.poll import Poll, Reading
from microscaling.engine.row import Part, Row, Total
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.text import few

log = logging.getLogger("mssengine")

QUOTED = re.compile(r"(answers with HTTP [0-9]+).*")
"""The server's text of an error is cut off for comparison: it may have a new identifier in it each time."""
MAX_AGE_BEATS = 3


class Readings:
    """The readings of all tasks: the sources to ask, the answers to wait for, and their meaning.

    Uses neither clock nor threads. `max_age_s`: age of MAX_AGE_BEATS beats, above which a reading is not
    used. For a source with an interval that is as many intervals, and its own deadline is added.
    """

    def __init__(self, tasks: Iterable[Task], max_age_s: float) -> None:
        self.max_age_s = max_age_s
        self.beat_s = max_age_s / MAX_AGE_BEATS
        self._slack_s = self.beat_s / 2
        self._judged = math.inf
        self._rows: list[Row] = []
        self._combined: list[Row] = []
        """Those with several parts."""
        self._groups: dict[object, tuple[Poll, list[Part], FailureLog]] = {}
        """By key of the source."""
        self.polls: list[Poll] = []
        self._glances: dict[Poll, list[Row]] = {}
        """The tasks that can be looked at between two beats, by their source."""
        self.follow(tasks, -1)

    def follow(self, tasks: Iterable[Task], since: int) -> None:
        """Takes over the tasks as they are now. What is known of those that have been the same since that
        generation stays, as do the answers of their sources. The caller holds the lock."""
        old = {row.task: row for row in self._rows if row.task.generation <= since}
        self._rows = [old.get(task) or row_of(task) for task in tasks if task.metric.sources]
        self._combined = [row for row in self._rows if row.parts != (row,)]
        before, self._groups = self._groups, {}
        for part in (part for row in self._rows for part in row.parts):
            source, interval_s = part.metric.source, part.metric.interval_s
            if source is None:  # one term of a sum may be set by hand
                continue
            if source.key not in self._groups:
                poll, _, told = before.get(source.key) or (Poll(source), [], FailureLog())
                poll.interval_s = interval_s
                self._groups[source.key] = (poll, [], told)
            poll, parts, _ = self._groups[source.key]
            if poll.source is not source:
                poll.source.also(source)  # one request for all its tasks
            poll.interval_s = min(poll.interval_s, interval_s)
            parts.append(part)
        self.polls = [poll for poll, _, _ in self._groups.values()]
        for poll, parts, _ in self._groups.values():
            for part in parts:
                part.interval_s = poll.interval_s
        glances: dict[Poll, list[Row]] = {}
        for row in filter(glance.can_glance, self._rows):
            if row.metric.source is not None:
                glances.setdefault(self._groups[row.metric.source.key][0], []).append(row)
        self._glances = glances  # as a whole, since the threads of the sources read it

    def rows(self) -> list[Row]:
        """Returns the measured tasks."""
        return self._rows

    def start(self, now: float, patience_s: float) -> list[Poll]:
        """Returns the sources to ask now: all that are due and not busy with an earlier request."""
        idle = [poll for poll in self.polls if poll.is_due(now, self._slack_s)]
        for poll in idle:
            poll.start(now, patience_s)
        return idle

    def awaited(self) -> bool:
        """True if an answer worth waiting for is still missing."""
        return any(poll.busy and poll.in_time for poll in self.polls)

    def give_up(self) -> None:
        """Ends the wait: the engine does not wait again for a source that is late, until it has answered."""
        for poll in self.polls:
            if poll.busy:
                poll.in_time = False

    def judge(self, now: float) -> None:
        """Determines each task's value, or the reason why there is none; logs failures and recoveries once.
        Needs no lock, as it writes nothing to the tasks."""
        if now - self._judged > self.max_age_s:  # beats were missed: the process may have been frozen
            for row in self.rows():
                row.gap = True
        self._judged = now
        for poll, parts, told in self._groups.values():
            reading = poll.reading  # once: a new one may come at any time
            problem = poll.problem(reading, now, self._max_age_s(poll))
            if problem:
                if told.failed(now, QUOTED.sub(r"\1", problem)):
                    log.warning("%s held: %s", _names(parts), problem)
                for part in parts:
                    part.problem = problem
            elif reading is not None:
                if told.recovered():
                    # A sum may still lack another of its values, so only these are known to be measured.
                    again = [part for part in parts if isinstance(part, Row)]
                    names = f": {_names(again)} measured again" if again else ""
                    log.info("%s answers again%s", poll.source.name, names)
                for part in parts:
                    part.judge(reading, now, self.beat_s)
        for row in self._combined:
            row.combine()
        for row in self._rows:
            if row.problem or row.failures or row.lacking:  # otherwise there is nothing to count or reset
                row.count(now, self._slack_s)

    def judge_early(self, polls: Iterable[Poll], now: float) -> list[Row]:
        """Determines the values of tasks whose sources have answered between two beats. Returns those with a
        good one; a failure is left to the next beat, which counts it."""
        asked = set(polls)
        fresh: list[Part] = []
        for poll, parts, _ in self._groups.values():
            reading = poll.reading
            if (
                poll in asked
                and reading is not None
                and not poll.problem(reading, now, self._max_age_s(poll))
            ):
                fresh += parts
                for part in parts:
                    part.judge(reading, now, self.beat_s, early=True)
        # One with several metrics and rules is left to the beat.
        one_rule = [row for row in self._rows if isinstance(row, Total) or row.parts == (row,)]
        rows = [row for row in one_rule if any(part in fresh for part in row.parts)]
        for row in rows:
            row.combine()
        # After a gap the next beat primes its rule anew.
        return [row for row in rows if not row.problem and not row.gap]

    def glances(self, poll: Poll) -> bool:
        """True if a look at the source between two beats can show anything. From any thread."""
        return poll.source.cheap and poll in self._glances

    def promises(self, poll: Poll, answer: Any, now: float) -> bool:
        """True if some task needs more by an answer of the source between two beats. From any thread."""
        return any(glance.rises(row, answer, now) for row in self._glances.get(poll, ()))

    def judge_seen(self, seen: Iterable[tuple[Poll, Reading]], now: float) -> list[Row]:
        """Takes over the values of the tasks that need more by these answers, and returns them. The caller
        holds the lock."""
        return [
            row
            for poll, reading in seen
            for row in self._glances.get(poll, ())
            if glance.rises(row, reading.answer, now) and glance.take(row, reading)
        ]

    def _max_age_s(self, poll: Poll) -> float:
        return max(self.max_age_s, MAX_AGE_BEATS * poll.interval_s) + poll.source.timeout_s

    def apply(self) -> int:
        """Writes the judged values to the tasks; returns how many are held. The caller holds the lock."""
        held = 0
        for row in self._rows:
            row.apply()
            held += bool(row.problem)
        return held


def _names(parts: Iterable[Part]) -> str:
    return few([*dict.fromkeys(part.name for part in parts)])
