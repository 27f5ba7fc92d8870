"""What a rule has learned about the queue of its task, in reports, on pages and for the commands."""

from __future__ import annotations

from typing import Any

from microscaling.demand.task import Task
from microscaling.target.base import Target

LARGEST = 1e12
"""Nothing longer or more is told: a queue of this wait is of one that no container serves."""


def learned_of(task: Task) -> dict[str, Any] | None:
    """Returns what the rule `Wait` of a task has learned, ready for JSON: rates in jobs per second, times in
    seconds, null for what is not known. None for other rules, and while there is no reading. The caller holds
    the lock."""
    if task.held or task.falling_back:
        return None
    return of_rule(task.target)


def of_rule(rule: Target) -> dict[str, Any] | None:
    """Returns what this rule has learned; None if it does not learn."""
    found = rule.learned()
    if found is None:
        return None
    return {
        "promiseSeconds": found.promise_s,
        "arrivals": _short(found.arrivals),
        "rate": _short(found.rate),
        "mayWait": found.may_wait,
        "waitSeconds": _short(found.wait_s),
        "exact": found.exact,
        "longestSeconds": _short(found.longest_s),
        "kept": round(found.kept, 4),
    }


def _short(value: float | None) -> float | None:
    """Returns a number with four digits that count, as no more are known."""
    return None if value is None else min(LARGEST, float(f"{value:.4g}"))
