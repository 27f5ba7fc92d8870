"""The metrics of a task with several, in reports, on pages and for the commands."""

from __future__ import annotations

from typing import Any

from microscaling.api.learned import of_rule
from microscaling.demand.task import Task
from microscaling.log import masked
from microscaling.metric.multiple import MultipleMetric
from microscaling.target.greatest import GreatestTarget

MAX_TEXT = 200
"""Characters of a problem."""


def members_of(task: Task) -> list[dict[str, Any]]:
    """Returns its metrics, ready for JSON; empty for a task with one. `wants`: the containers that its rule
    wants, null without a reading; `decides`: the others want no more. The caller holds the lock."""
    metric, target = task.metric, task.target
    if not isinstance(metric, MultipleMetric):
        return []
    greatest = target if isinstance(target, GreatestTarget) else None  # its fallback is in force
    return [
        {
            "place": member.place,
            "rule": greatest.rules[i].type_name if greatest else "",
            "metric": member.metric.type_name,
            "reading": None if member.problem else member.metric.current,
            "target": getattr(greatest.rules[i], "length", None) if greatest else None,
            "wants": greatest.wishes[i] if greatest else None,
            "decides": greatest is not None and not member.problem and metric.shown == i,
            "problem": masked(member.problem)[:MAX_TEXT],
        }
        | ({"learned": learned} if greatest and (learned := of_rule(greatest.rules[i])) else {})
        for i, member in enumerate(metric.members)
    ]
