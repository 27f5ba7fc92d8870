"""The measured value of a task: of one metric, or the sum of several."""

from __future__ import annotations

import logging
import re

from microscaling.demand.task import NOT_YET, Task
from microscaling.engine.poll import Reading
from microscaling.errors import MetricError
from microscaling.metric.base import LARGEST, Measurement, Metric, checked, whole_number
from microscaling.metric.total import added_up
from microscaling.utils.failure_log import FailureLog

log = logging.getLogger("mssengine")
metric_log = logging.getLogger("mssmetric")

NUMBERS = re.compile(r"[0-9]+")


class Part:
    """One metric of a task: its current value, or the reason why there is none."""

    def __init__(self, task: Task, metric: Metric, name: str, whole: Metric | None = None) -> None:
        self.task = task
        self.metric = metric
        self.whole = whole or metric
        """The metric of which it is a term, or that metric itself."""
        self.name = name
        """Its name in the log: the task's, and the place of the source if there are several."""
        self.value = 0
        self.measured: Measurement | None = None
        """All that the source counts; None if that is one number only."""
        self.problem = NOT_YET
        self.told = FailureLog()
        self.beats = 1.0
        """Beats between its last two measurements."""
        self.beat_s = 0.0
        """Seconds of one beat, as of the last measurement."""
        self.interval_s = 0.0
        """Seconds between two requests to its source; 0: one at each beat."""
        self.taken: float | None = None
        """Time of its last good answer, monotonic seconds; of a sum, of the oldest that counts."""
        self._asked: float | None = None
        self._stamp: float | None = None

    def judge(self, reading: Reading, now: float, beat_s: float, early: bool = False) -> None:
        """Extracts the value from a good reading. Logs a failure once. `early`: between two beats, so that
        the next measurement is still that after the last one at a beat."""
        try:
            found = self.metric.read(reading.answer)
            if isinstance(found, Measurement):
                self.measured = checked(found)
                self.value = min(LARGEST, found.number(self.whole.with_running))
            else:
                self.value, self.measured = whole_number(found, "measurement"), None
            self.problem = ""
            before = self._asked, self._stamp
            self._pace(reading, beat_s)
            if early:
                self._asked, self._stamp = before
            if reading.taken != self.taken:
                metric_log.debug("%s: %d from %s", self.task.name, self.value, self.source_name)
            self.taken = reading.taken
        except Exception as error:  # a faulty metric must not end the engine
            self.problem = str(error) if isinstance(error, MetricError) else repr(error)
        if self.problem:
            if self.told.failed(now, NUMBERS.sub("#", self.problem)):  # a bad value may differ each time
                log.warning("%s held: %s", self.name, self.problem)
        elif self.told.recovered():
            self.log_recovery()

    def log_recovery(self) -> None:
        """Logs that a bad value has been followed by a good one."""
        # The sum may still lack another of its values.
        log.info("%s: a good value again from %s", self.task.name, self.source_name)

    @property
    def source_name(self) -> str:
        """The name of its source for logs."""
        return self.metric.source.name if self.metric.source is not None else ""

    def _pace(self, reading: Reading, beat_s: float) -> None:
        """Computes the time between two measurements of the source, from the times of the requests, its own
        time stamps, or its known interval."""
        # An unchanged value is no evidence of an old measurement: queues do stand still.
        metric = self.metric
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
        self._asked, self._stamp, self.beat_s = asked, stamp, beat_s
        beats = span / beat_s
        self.beats = 1.0 if beats < 1.5 else float(round(beats))  # mostly 1: saves round() for thousands


class Row(Part):
    """One measured task: its current value, or the reason why there is none, and the task itself."""

    def __init__(self, task: Task, metric: Metric | None = None, name: str = "") -> None:
        super().__init__(task, metric or task.metric, name or task.name)
        self.parts: tuple[Part, ...] = (self,)
        """The metrics that are measured for it."""
        self.ours = ""
        """The text last written to `task.held`: a hold set elsewhere is not changed."""
        if task.held in ("", NOT_YET):  # a monitor may send the task before it is measured
            task.held = self.ours = NOT_YET
        self.gap = False
        """True if it was held at the last look, or that was long ago: its target lacks recent
        measurements."""
        self.lacking = False
        """True if some of its parts have no reading, though it has one itself."""
        self.failures = 0
        """Failed measurements in a row, at most one a beat, or one an interval."""
        self.advanced = float("-inf")
        """Time of the last early decision by what was seen of it between two beats."""
        self._paced = 1.0
        """The value of `beats` that the target has now."""
        self._counted = float("-inf")

    def log_recovery(self) -> None:
        log.info("%s measured again", self.name)

    def combine(self) -> None:
        """Computes the value of several parts, after all of them were judged."""

    def count(self, now: float, slack_s: float) -> None:
        """Counts failed measurements; `slack_s`: how much earlier than its interval a request may be."""
        if not self.problem:
            self.failures, self._counted = 0, float("-inf")
        elif now - self._counted >= self.interval_s - slack_s:
            self.failures += 1
            self._counted = now

    def apply(self) -> None:
        """Writes the value, or the hold, to the task. The caller holds the lock."""
        task = self.task
        if not task.held or task.held == self.ours:
            task.held = self.ours = self.problem
        if not self.problem:
            task.metric.current, task.metric.measured = self.value, self.measured
            task.measured_at = self.taken
        if self.beats != self._paced:  # mostly unchanged: saves the call for thousands
            self._paced = self.beats
            task.target.paced(self.beats)
            task.measured_s = self.beats * self.beat_s
        if self.gap and not task.held:
            task.target.reset()
        self.gap = bool(task.held)


class Total(Row):
    """A task with several sources: its value is their sum, and there is none while one of them is missing."""

    def __init__(self, task: Task, metric: Metric | None = None, name: str = "") -> None:
        super().__init__(task, metric, name)
        self.parts = tuple(
            Part(task, term, f"{self.name} (sources[{i}])", self.metric)
            for i, term in enumerate(self.metric.terms)
        )
        self._values: list[int] = []
        """The terms of the last sum."""

    def combine(self) -> None:
        for part in self.parts:
            if part.metric.source is None:
                part.value, part.measured, part.problem = part.metric.current, part.metric.measured, ""
        failed = [(i, part) for i, part in enumerate(self.parts) if part.problem]
        self.problem = ""
        if failed:
            i, part = failed[0]
            others = f" ({len(failed)} of its {len(self.parts)} sources fail)" if len(failed) > 1 else ""
            self.problem = f"sources[{i}]: {part.problem}{others}"
            # Each look at the quickest of them is one failure more.
            self.interval_s = min(part.interval_s for _, part in failed)
            return
        values = [part.value for part in self.parts]
        self.value = max(min(LARGEST, sum(values)), self.metric.at_least or 0)
        found = added_up([part.measured or part.value for part in self.parts])
        self.measured = found if isinstance(found, Measurement) else None
        self._pace_of_sum(values)
        self.taken = min((part.taken for part in self.parts if part.taken is not None), default=None)

    def _pace_of_sum(self, values: list[int]) -> None:
        """Computes the beats over which the last change of the sum is to be spread: each term's change takes
        as long as its own source."""
        slowest = max(self.parts, key=lambda part: part.beats)
        before, self._values = self._values, values
        self.beat_s = slowest.beat_s
        changes = [now - was for now, was in zip(values, before, strict=False)]
        a_beat = sum(change / part.beats for change, part in zip(changes, self.parts, strict=False))
        if not before:
            self.beats = slowest.beats
        elif a_beat * sum(changes) > 0:
            self.beats = min(max(sum(changes) / a_beat, 1.0), slowest.beats)
