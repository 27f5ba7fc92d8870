"""A source that is polled: its last answer, and the request under way."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import Source

log = logging.getLogger("mssengine")

QUICK_S = 0.005
"""Time of an answer that is quick (seconds)."""
LATELY = 5
"""Answers of which one has to be quick: on a busy machine some are late by no fault of the source."""
TOO_SLOW = (
    "its answers take longer than a reading stays valid, {:g} s: raise timeoutSeconds or intervalSeconds "
    "in the config of its tasks"
)


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
        self.answers, self.errors, self.seconds = 0, 0, 0.0
        """The requests that have ended, those of them that failed, and the time of all. Only `finish` writes
        them."""
        self.is_quick = False
        """True if the last request was answered, and one of the last answers was quick."""
        self._took: deque[float] = deque(maxlen=LATELY)
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
        self.answers += 1
        self.errors += bool(error)
        self.seconds += max(0.0, now - self._asked)
        self.took(math.inf if error else now - self._asked)
        self.busy = False

    def took(self, seconds: float) -> None:
        """Notes the time of an answer; infinite for a failure."""
        self._took.append(seconds)
        self.is_quick = seconds != math.inf and min(self._took) <= QUICK_S

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

    def problem(self, reading: Reading | None, now: float, max_age_s: float) -> str:
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
