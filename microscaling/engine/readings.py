"""What was measured, when, and whether it can be trusted now."""

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
"""What a server says to an error may have an identifier in it that is another one each time."""
NUMBERS = re.compile(r"[0-9]+")
MAX_AGE_BEATS = 3
TOO_SLOW = (
    "its answers take longer than a reading is good for, {:g} s: raise timeoutSeconds or intervalSeconds "
    "in the config of its tasks"
)
NAMES = 5
"""How many tasks a log line names at most."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source answered, or why it did not."""

    taken: float
    asked: float
    answer: Any = None
    error: str = ""


class Poll:
    """One source: its last reading, and the request under way.

    `start` is called by the engine, `finish` by whoever asks the source; `busy` says whose turn it
    is, so neither needs a lock. `interval_s`: seconds between two questions; 0: one at each beat.
    """

    def __init__(self, source: Source, interval_s: float = 0.0) -> None:
        self.source = source
        self.interval_s = interval_s
        self.reading: Reading | None = None
        self.busy = False
        self.in_time = True
        """It answered within the engine's patience when last asked, so it is worth waiting for."""
        self._asked = float("-inf")
        self._patience_s = 0.0

    def is_due(self, now: float, slack_s: float) -> bool:
        """Whether to ask it at the beat of `now`, which may be early or late by the slack."""
        return not self.busy and now - self._asked >= self.interval_s - slack_s

    def start(self, now: float, patience_s: float) -> None:
        """It is being asked from `now` on."""
        self._asked, self._patience_s = now, patience_s
        self.busy = True

    def finish(self, now: float, answer: Any = None, error: str = "") -> None:
        """It has answered, or failed."""
        self.reading = Reading(now, self._asked, answer, error)
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
            if reading.taken - reading.asked > max_age_s * 2 / 3:
                return f"{self.source.name}: {TOO_SLOW.format(max_age_s)}"
            return f"{self.source.name}: no answer for more than {max_age_s:g} s"
        return ""


class Row:
    """One task that is measured: what its value is now, or why there is none."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.value = 0
        self.trouble = NOT_YET
        self.told = FailureLog()
        self.ours = ""
        """What was written to `task.held`: a hold that is not ours is left alone."""
        if not task.held:  # a monitor may send the task before it is measured
            task.held = self.ours = NOT_YET
        self.gap = False
        """It was held when last looked at, or that is long ago: its target knows of no recent measurement."""
        self.beats = 1.0
        """How many beats lie between its last two measurements."""
        self._paced = 1.0
        """What the target counts on, as long as it has not heard otherwise."""
        self._beat_s = 0.0
        self.failures = 0
        """How many measurements in a row have failed: one a beat, or one an interval."""
        self._counted = float("-inf")
        self._asked: float | None = None
        self._stamp: float | None = None

    def judge(self, reading: Reading, now: float, beat_s: float) -> None:
        """Finds the task's own value in a good reading. Says so once if that fails."""
        try:
            self.value = whole_number(self.task.metric.read(reading.answer), "measurement")
            self.trouble = ""
            self._pace(reading, beat_s)
        except Exception as error:  # a metric must not be able to end the engine
            self.trouble = str(error) if isinstance(error, MetricError) else repr(error)
        if self.trouble:
            if self.told.failed(now, NUMBERS.sub("#", self.trouble)):  # a bad value may differ each time
                log.warning("%s held: %s", self.task.name, self.trouble)
        elif self.told.recovered():
            log.info("%s measured again", self.task.name)

    def _pace(self, reading: Reading, beat_s: float) -> None:
        """Works out how far apart two measurements of the source are: by when it was asked, by its own time
        stamps, or by its known pace. That a value has stood still says nothing: queues do."""
        metric = self.task.metric
        asked, stamp = reading.asked, metric.stamp
        span = 0.0
        if stamp is not None and self._stamp is not None:
            if stamp == self._stamp:  # the same measurement once more
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
        self.beats = 1.0 if beats < 1.5 else float(round(beats))  # mostly one: thousands need no rounding

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
        if self.beats != self._paced:  # mostly one, and was: thousands need no call
            self._paced = self.beats
            task.target.paced(self.beats)
            task.measured_s = self.beats * self._beat_s
        if self.gap and not task.held:
            task.target.reset()
        self.gap = bool(task.held)


class Readings:
    """The readings of all tasks: whom to ask, whom to wait for, and what their answers mean.

    Knows neither clock nor threads. `max_age_s`: a reading older than that, which is MAX_AGE_BEATS beats,
    counts for nothing; one of a source that is asked now and then lives as many intervals, and as long as
    its answer may take.
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
                    polls[source.key][0].source.also(source)
                poll, rows, _ = polls[source.key]
                poll.interval_s = min(poll.interval_s, task.metric.interval_s)
                rows.append(Row(task))
        self._judged = math.inf
        self._groups = list(polls.values())
        self.polls = [poll for poll, _, _ in self._groups]

    def rows(self) -> list[Row]:
        """The tasks that are measured."""
        return [row for _, rows, _ in self._groups for row in rows]

    def start(self, now: float, patience_s: float) -> list[Poll]:
        """The sources to ask now: all that are due, and not still busy with the last request."""
        idle = [poll for poll in self.polls if poll.is_due(now, self._slack_s)]
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
                if row.trouble or row.failures:  # else there is nothing to count, nor to begin anew
                    row.count(now, poll.interval_s - self._slack_s)

    def _max_age_s(self, poll: Poll) -> float:
        return max(self.max_age_s, MAX_AGE_BEATS * poll.interval_s) + poll.source.timeout_s

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
