"""What was read in the labels of a service, and what follows from it, in a line for a person."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.target.base import Target


def summary_of(task: Task, running: int) -> str:
    """Returns the line about a task whose service has so many containers that run."""
    words = " and ".join(map(_words, task.target.rules or (task.target,)))
    sources = ", ".join(source.name for source in task.metric.sources)
    measured = f" for {sources}" if sources else ""
    least, most = task.min_containers, task.max_containers
    future = f"stays at {most}" if least == most else f"will have {least} to {most}"
    return f"{words}{measured}, priority {task.priority}: has {running} now, and {future} containers"


def _words(rule: Target) -> str:
    length = getattr(rule, "length", None)
    return type(rule).type_name + ("" if length is None else f" with target {length}")
