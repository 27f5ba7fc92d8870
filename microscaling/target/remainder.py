"""The rule of a task that takes the capacity the others leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.settings import Settings
from microscaling.target.base import Target


class RemainderTarget(Target):
    """Is never satisfied: always wants `max_containers` more. It does not make other tasks give way."""

    __slots__ = ("max_containers",)

    type_name, summary = "Remainder", "what the others leave"
    measures = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> RemainderTarget:
        return cls(values["maxContainers"])

    def __init__(self, max_containers: int) -> None:
        self.max_containers = max_containers

    def __repr__(self) -> str:
        return f"RemainderTarget({self.max_containers})"

    def meeting(self, current: int) -> bool:
        return False

    def exceeding(self, current: int) -> bool:
        return False

    def delta(self, current: int) -> int:
        return self.max_containers

    def words(self, current: int) -> str:
        return "uses what is left"


TYPE = RemainderTarget
