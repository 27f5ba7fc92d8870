"""A metric with a value set by hand, for tests and demonstrations."""

from __future__ import annotations

from typing import Any

from microscaling.metric.base import Metric


class ToyMetric(Metric):
    """Has no source: set `current` (items) directly."""

    def __init__(self, current: int = 0) -> None:
        self.current = current

    def read(self, answer: Any) -> int:
        return self.current
