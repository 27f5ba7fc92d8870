"""A fixed number of items for each container, as the rule of Kubernetes' autoscaler (HPA) has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.target.base import Observation, Target

TOLERANCE = 0.1
"""HPA's: nothing changes while the ratio of what there is to what should be lies within 10 % of 1."""


class PerContainerTarget(Target):
    """As many containers as the items need at `length` items each, rounded up.

    Within 10 % of that for what runs, it stays as it is: a queue that goes up and down by an item must not
    start and stop a container each time.
    """

    __slots__ = ("length",)

    type_name, summary = "PerContainer", "one container for so many items"
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
        if abs(seen.current - room) <= TOLERANCE * room:
            return seen.running
        return -(-seen.current // self.length)

    def words(self, current: int) -> str:
        return f"queue {current} at {self.length} for each"


TYPE = PerContainerTarget
