"""The rule for a queue's length, by a PID controller that also uses its velocity."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from math import floor, inf
from typing import Any

from microscaling.settings import Settings
from microscaling.target.base import LENGTH, Target, comfortable

TINY = 1e-12
"""A smaller gain has no effect, as no queue is long enough for it."""


class QueueLengthTarget(Target):
    """Holds a queue at `length` items: a PID controller whose output is containers.

    delta = floor(1/2 + kP * error + kI * sum of errors + kD * velocity), with error = current - length, and
    the velocity in items per beat. It is the average of MSS_VEL_SAMPLES beats, and 0 until there are as many
    readings. The sum starts with the first reading, but has an effect only after the queue has once reached
    its target or crossed it, coming from empty. All this follows the decisions of the Go agent.

    `settings`: the source of the gains; None: the environment at this moment.
    """

    __slots__ = ("_beats", "_comfortable", "_kd", "_ki", "_kp", "_last", "_reached", "_readings", "_samples",
                 "_sum", "length")  # fmt: skip

    type_name, summary = "Queue", "what its queue needs (by length and velocity)"
    fields = (LENGTH,)

    def __init__(self, length: int, settings: Settings | None = None) -> None:
        if settings is None:
            settings = Settings.from_env(os.environ)
        self.length = length
        self._comfortable = comfortable(length)
        self._kp, self._ki, self._kd = settings.kp, settings.ki, settings.kd
        self._samples = settings.vel_samples
        self._readings: deque[int] = deque(maxlen=self._samples + 1)
        self._beats = 1.0
        self._sum = 0
        self._last = 0
        self._reached = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> QueueLengthTarget:
        return cls(values["targetQueueLength"], settings)

    def __repr__(self) -> str:
        return f"QueueLengthTarget({self.length})"

    def aim(self, length: int) -> None:
        self.length, self._comfortable = length, comfortable(length)

    def meeting(self, current: int) -> bool:
        return current <= self.length

    def exceeding(self, current: int) -> bool:
        return current <= self._comfortable

    def delta(self, current: int) -> int:
        error = current - self.length
        readings = self._readings
        samples = self._samples
        readings.append(current)
        wanted = self._kp * error
        if self._ki:
            wanted += self._ki * self._integral(current, error)
        if len(readings) > samples:
            wanted += self._kd * ((current - readings[0]) / samples / self._beats)
        return _rounded(wanted)

    def steady(self, current: int, running: int) -> int | None:
        if self._ki or not TINY < self._kp < inf:
            return None
        return _rounded(self._kp * (current - self.length))

    def _integral(self, current: int, error: int) -> int:
        self._sum += error
        if not self._reached:
            self._reached = self._last < self.length <= current or self._last > self.length >= current
            self._last = current
        return self._sum if self._reached else 0

    def reset(self) -> None:
        """Drops the readings, so the velocity starts anew; the sum of errors stays."""
        self._readings.clear()

    def paced(self, beats: float) -> None:
        """Sets the beats between two measurements of the source: the change of the queue is spread evenly
        over them."""
        # Between two measurements the reading stays the same, so the beats in between add no velocity.
        self._beats = beats

    def works_from(self) -> int:
        if not (TINY < self._kp < inf) or self._ki:
            return 0
        return floor(0.5 / self._kp) + 1  # where half a container rounds down to one fewer

    def words(self, current: int) -> str:
        return f"queue {current} of target {self.length}"


def _rounded(containers: float) -> int:
    try:
        return floor(containers + 0.5)
    except (OverflowError, ValueError):  # absurd gains: no change is better than a dead engine
        return 0


TYPE = QueueLengthTarget
