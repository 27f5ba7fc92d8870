"""What becomes of a task that cannot be measured for long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fallback:
    """After so many failed readings in a row, a beat without a good one each, the task is to have so
    many containers until it can be measured again. The words are KEDA's."""

    failure_threshold: int
    """1 or more."""
    containers: int
