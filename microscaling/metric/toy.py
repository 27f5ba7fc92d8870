"""A metric that is whatever it is set to: for tests and demonstrations."""

from __future__ import annotations

from typing import Any

from microscaling.metric.base import Metric


class ToyMetric(Metric):
    """Asks nobody; set `current` (items) as you like."""

    def __init__(self, current: int = 0) -> None:
        self.current = current

    def read(self, answer: Any) -> int:
        return self.current
