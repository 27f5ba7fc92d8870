"""Readings: the measured values, their times, and whether they can still be used."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from microscaling.demand.task import Task
from microscaling.errors import MetricError
from microscaling.metric.base import Source, whole_number
from microscaling.utils.failure_log import FailureLog

log = logging.getLogger("mssengine")

NOT_YET = "not measured yet"
QUOTED = re.compile(r"(answers with HTTP [0-9]+).*")
"""The server's text of an error is cut off for comparison: it may have a new identifier in it each time."""
NUMBERS = re.compile(r"[0-9]+")
MAX_AGE_BEATS = 3
TOO_SLOW = (
    "its answers take longer than a reading stays valid, {:g} s: raise timeoutSeconds or intervalSeconds "
    "in the config of its tasks"
)
NAMES = 5
"""Maximum number of task names in a log line."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer of a source, or the error in its place."""

    taken: float
    asked: float
    answer: Any = None
    error: str = ""


class Poll:
    """One source: its last reading, and the request under way.

    `start` is called by the engine, `finish` by the source's thread. `interval_s`: seconds between two
    requests; 0: one at each beat.
    """

    def __init__(self, source: Source, interval_s: float = 0.0) -> None:
        self.source = source
        self.interval_s = interval_s
        self.reading: Reading | None = None
        self.busy = False  # the engine writes while it is False, the source's thread while True: no lock
        self.in_time = True
        """True if its last answer came within the engine's patience, so that the next is worth waiting
        for."""
        self._asked = float("-inf")
        self._patience_s = 0.0

    def is_due(self, now: float, slack_s: float) -> bool:
        """True if it should be asked at the beat of `now`, which may be early or late by the slack."""
        return not self.busy and now - self._asked >= self.interval_s - slack_s

    def start(self, now: float, patience_s: float) -> None:
        """Notes the beginning of a request at `now`."""
        self._asked, self._patience_s = now, patience_s
        self.busy = True

    def finish(self, now: float, answer: Any = None, error: str = "") -> None:
        """Stores the answer, or the error."""
        self.reading = Reading(now, self._asked, answer, error)
        self.in_time = now - self._asked <= self._patience_s
        self.busy = False

    def ask(self, clock: Callable[[], float]) -> None:
        """Asks the source, however long that takes, and stores the result. Never raises."""
        try:
            answer = self.source.fetch()
        except MetricError as error:
            self.finish(clock(), error=str(error))
        except Exception as error:  # a faulty metric must not end the engine
            log.debug("%s failed in an unexpected way", self.source.name, exc_info=True)
            self.finish(clock(), error=f"{self.source.name}: {type(error).__name__}: {error}")
        else:
            self.finish(clock(), answer)

    def trouble(self, reading: Reading | None, now: float, max_age_s: float) -> str:
        """Returns the reason why a reading cannot be used at `now`; empty if it can."""
        if reading is None:
            return f"{self.source.name}: no answer yet"
        if reading.error:
            return reading.error
        if now - reading.taken > max_age_s:
            if reading.taken - reading.asked > max_age_s * 2 / 3:
                return f"{self.source.name}: {TOO_SLOW.format(max_age_s)}"
            return f"{self.source.name}: no answer for more than {max_age_s:g} s"
        return ""


class Row:
    """One measured task: its current value, or the reason why there is none."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.value = 0
        self.trouble = NOT_YET
        self.told = FailureLog()
        self.ours = ""
        """The text last written to `task.held`: a hold set elsewhere is not changed."""
        if not task.held:  # a monitor may send the task before it is measured
            task.held = self.ours = NOT_YET
        self.gap = False
        """True if it was held at the last look, or that was long ago: its target lacks recent
        measurements."""
        self.beats = 1.0
        """Beats between its last two measurements."""
        self._paced = 1.0
        """The value of `beats` that the target has now."""
        self._beat_s = 0.0
        self.failures = 0
        """Failed measurements in a row, at most one a beat, or one an interval."""
        self._counted = float("-inf")
        self._asked: float | None = None
        self._stamp: float | None = None

    def judge(self, reading: Reading, now: float, beat_s: float) -> None:
        """Extracts the task's value from a good reading. Logs a failure once."""
        try:
            self.value = whole_number(self.task.metric.read(reading.answer), "measurement")
            self.trouble = ""
            self._pace(reading, beat_s)
        except Exception as error:  # a faulty metric must not end the engine
            self.trouble = str(error) if isinstance(error, MetricError) else repr(error)
        if self.trouble:
            if self.told.failed(now, NUMBERS.sub("#", self.trouble)):  # a bad value may differ each time
                log.warning("%s held: %s", self.task.name, self.trouble)
        elif self.told.recovered():
            log.info("%s measured again", self.task.name)

    def _pace(self, reading: Reading, beat_s: float) -> None:
        """Computes the time between two measurements of the source, from the times of the requests, its own
        time stamps, or its known interval."""
        # An unchanged value is no evidence of an old measurement: queues do stand still.
        metric = self.task.metric
        asked, stamp = reading.asked, metric.stamp
        span = 0.0
        if stamp is not None and self._stamp is not None:
            if stamp == self._stamp:  # still the same measurement
                return
            span = stamp - self._stamp
        if self._asked is not None:
            if asked == self._asked:
                return
            if asked - self._asked > span:
                span = asked - self._asked
        if not metric.interval_s and metric.pace_s > span:
            span = metric.pace_s
        self._asked, self._stamp, self._beat_s = asked, stamp, beat_s
        beats = span / beat_s
        self.beats = 1.0 if beats < 1.5 else float(round(beats))  # mostly 1: saves round() for thousands

    def count(self, now: float, interval_s: float) -> None:
        """Counts failed measurements."""
        if not self.trouble:
            self.failures, self._counted = 0, float("-inf")
        elif now - self._counted >= interval_s:
            self.failures += 1
            self._counted = now

    def apply(self) -> None:
        """Writes the value, or the hold, to the task. The caller holds the lock."""
        task = self.task
        if not task.held or task.held == self.ours:
            task.held = self.ours = self.trouble
        if not self.trouble:
            task.metric.current = self.value
        if self.beats != self._paced:  # mostly unchanged: saves the call for thousands
            self._paced = self.beats
            task.target.paced(self.beats)
            task.measured_s = self.beats * self._beat_s
        if self.gap and not task.held:
            task.target.reset()
        self.gap = bool(task.held)


class Readings:
    """The readings of all tasks: the sources to ask, the answers to wait for, and their meaning.

    Uses neither clock nor threads. `max_age_s`: age of MAX_AGE_BEATS beats, above which a reading is not
    used. For a source with an interval that is as many intervals, and its own deadline is added.
    """

    def __init__(self, tasks: Iterable[Task], max_age_s: float) -> None:
        self.max_age_s = max_age_s
        self.beat_s = max_age_s / MAX_AGE_BEATS
        self._slack_s = self.beat_s / 2
        polls: dict[object, tuple[Poll, list[Row], FailureLog]] = {}
        for task in tasks:
            source = task.metric.source
            if source is not None:
                if source.key not in polls:
                    polls[source.key] = (Poll(source, task.metric.interval_s), [], FailureLog())
                else:
                    polls[source.key][0].source.also(source)  # one request for all its tasks
                poll, rows, _ = polls[source.key]
                poll.interval_s = min(poll.interval_s, task.metric.interval_s)
                rows.append(Row(task))
        self._judged = math.inf
        self._groups = list(polls.values())
        self.polls = [poll for poll, _, _ in self._groups]

    def rows(self) -> list[Row]:
        """Returns the measured tasks."""
        return [row for _, rows, _ in self._groups for row in rows]

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
        for poll, rows, told in self._groups:
            reading = poll.reading  # once: a new one may come at any time
            trouble = poll.trouble(reading, now, self._max_age_s(poll))
            if trouble:
                if told.failed(now, QUOTED.sub(r"\1", trouble)):
                    log.warning("%s held: %s", _names(rows), trouble)
                for row in rows:
                    row.trouble = trouble
            elif reading is not None:
                if told.recovered():
                    log.info("%s answers again: %s measured again", poll.source.name, _names(rows))
                for row in rows:
                    row.judge(reading, now, self.beat_s)
            for row in rows:
                if row.trouble or row.failures:  # otherwise there is nothing to count or reset
                    row.count(now, poll.interval_s - self._slack_s)

    def _max_age_s(self, poll: Poll) -> float:
        return max(self.max_age_s, MAX_AGE_BEATS * poll.interval_s) + poll.source.timeout_s

    def apply(self) -> int:
        """Writes the judged values to the tasks; returns how many are held. The caller holds the lock."""
        held = 0
        for _, rows, _ in self._groups:
            for row in rows:
                row.apply()
                held += bool(row.trouble)
        return held


def few(names: list[str]) -> str:
    """Returns the first of these names, and the number of the others, for a log line."""
    named = ", ".join(names[:NAMES])
    return named if len(names) <= NAMES else f"{named} and {len(names) - NAMES} more"


def _names(rows: list[Row]) -> str:
    return few([row.task.name for row in rows])
