"""OnePerJob: as many containers as there are items, and some to spare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.target.base import Observation, Target


class OnePerJobTarget(Target):
    """Wants one container for each item, and `spare` more."""

    __slots__ = ("spare",)

    type_name, summary = "OnePerJob", "one container for each item"
    fields = (Field("spareContainers", "Spare containers", kind="whole", least=0),)

    def __init__(self, spare: int) -> None:
        self.spare = spare

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> OnePerJobTarget:
        return cls(values["spareContainers"])

    def decide(self, seen: Observation) -> int:
        return seen.current + self.spare


TYPE = OnePerJobTarget
