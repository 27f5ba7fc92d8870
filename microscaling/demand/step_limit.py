"""The limit of how fast a task may change."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class StepLimit:
    """In `seconds` at most `step` containers, or `percent` of those at their beginning, the larger of the
    two. The terms are those of Kubernetes' HPA (pods, percent, periodSeconds)."""

    step: int
    percent: float
    seconds: float

    def most(self, beginning: int) -> int:
        """Returns the containers by which a task may change that had so many at the beginning."""
        # Never none, or a task without containers would stay so for ever.
        return max(1, self.step, ceil(beginning * self.percent / 100))
