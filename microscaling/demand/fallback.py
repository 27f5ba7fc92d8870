"""The fallback of a task that cannot be measured for long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fallback:
    """After `failure_threshold` failed readings in a row, at most one counted each beat, the task gets this
    number of containers until it can be measured again. The terms are KEDA's."""

    failure_threshold: int
    """1 or more."""
    containers: int
