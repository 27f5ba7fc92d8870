"""The rule for a queue's length that moves one container at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.settings import Settings
from microscaling.target.base import LENGTH, Target, comfortable


class SimpleQueueLengthTarget(Target):
    """Adds a container while the queue is longer than `length` items, removes one while it is below 70 % of
    it, and changes nothing in between."""

    __slots__ = ("_comfortable", "length")

    type_name, summary = "SimpleQueue", "one more when its queue is too long, one fewer when shorter"
    fields = (LENGTH,)

    def __init__(self, length: int) -> None:
        self.length = length
        self._comfortable = comfortable(length)

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> SimpleQueueLengthTarget:
        return cls(values["targetQueueLength"])

    def __repr__(self) -> str:
        return f"SimpleQueueLengthTarget({self.length})"

    def aim(self, length: int) -> None:
        self.length, self._comfortable = length, comfortable(length)

    def meeting(self, current: int) -> bool:
        return current <= self.length

    def exceeding(self, current: int) -> bool:
        return current <= self._comfortable

    def delta(self, current: int) -> int:
        if current > self.length:
            return 1
        return -1 if current < self._comfortable else 0  # not at it: exceeding, but no change

    def steady(self, current: int, running: int) -> int:
        return self.delta(current)

    def works_from(self) -> int:
        return 2  # its comfortable length is 1, and only 0 is below that

    def words(self, current: int) -> str:
        return f"queue {current} of target {self.length}"


TYPE = SimpleQueueLengthTarget
