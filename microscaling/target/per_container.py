"""A fixed number of items for each container: the rule of Kubernetes' autoscaler (HPA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.target.base import Observation, Target

TOLERANCE = 0.1
"""The HPA's default: no change while the ratio of actual to desired items is within 10 % of 1."""


class PerContainerTarget(Target):
    """Wants one container for every `length` items, rounded up, with a tolerance of 10 % around the running
    ones."""

    __slots__ = ("length",)

    type_name, summary = "PerContainer", "one container for so many items"
    with_running = True  # a container at work is needed, though nothing waits behind it
    fields = (Field("targetPerContainer", "Items for each container", kind="whole", required=True, least=1),)

    def __init__(self, length: int) -> None:
        self.length = length

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> PerContainerTarget:
        return cls(values["targetPerContainer"])

    def __repr__(self) -> str:
        return f"PerContainerTarget({self.length})"

    def decide(self, seen: Observation) -> int:
        room = seen.running * self.length
        # Without the tolerance a queue that varies by one item would start and stop a container each time.
        if abs(seen.current - room) <= TOLERANCE * room:
            return seen.running
        return -(-seen.current // self.length)

    def steady(self, current: int, running: int) -> int:
        return self.decide(Observation(current, running, running, 0.0)) - running

    def words(self, current: int) -> str:
        return f"queue {current} at {self.length} for each"


TYPE = PerContainerTarget
