"""Hints at the start: configurations that are allowed, but have an effect their author may not expect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from microscaling.demand.task import Task
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from microscaling.utils.text import few, span

TIES = (
    "priority: {names} have the same, {priority}: when they want more than the cap allows, the first in the "
    "list takes all of it, and the others keep their minimum; give each a priority of its own, or a weight"
)
ENDS = ("TERM", "INT", "QUIT", "HUP")
"""Signals on which most programs end by themselves."""
SMALL = (
    "targetQueueLength: {names}: {length} is too small for {rule}, which gives nothing back before the "
    "queue has been empty for idleSeconds; use {works}"
)
NONE_TO_MEASURE = (
    "minContainers: {names}: measured by its own containers, a task without any never gets one; set it to 1"
)


def hints(tasks: Iterable[Task], cap: int) -> Iterator[str]:
    """Yields the hints, one line each. `cap`: the number of containers that the tasks share."""
    tasks = list(tasks)
    yield from _small_targets(tasks)
    yield from _ties(tasks, cap)
    alone = [task for task in tasks if task.metric.of_containers and task.max_containers]
    if names := [task.name for task in alone if task.min_containers < 1]:
        yield NONE_TO_MEASURE.format(names=few(names))


def _small_targets(tasks: Iterable[Task]) -> Iterator[str]:
    """Yields a hint for each target length too small for its rule."""
    small: dict[tuple[str, int, str], list[str]] = {}
    each = [(task, rule) for task in tasks for rule in task.target.rules or (task.target,)]
    for task, own in each:
        works_from, length = own.works_from(), getattr(own, "length", 0)
        # Rules round: below this length even an empty queue makes less than one container of difference.
        if length < works_from:
            simple = SimpleQueueLengthTarget(length).works_from()
            other = f", or SimpleQueue with {simple} or more" if simple < works_from else ""
            small.setdefault((own.type_name, length, f"{works_from} or more{other}"), []).append(task.name)
    for (rule, length, works), names in small.items():
        yield SMALL.format(names=few(names), length=length, rule=rule, works=works)


def _ties(tasks: Iterable[Task], cap: int) -> Iterator[str]:
    """Yields a hint for each priority that several tasks share, if they can be short of containers: only
    tasks that can exceed their minimum count, and only if their maximums together exceed the cap."""
    tied: dict[int, list[Task]] = {}
    for task in tasks:
        if task.is_scalable and task.max_containers > task.min_containers:
            tied.setdefault(task.priority, []).append(task)
    for priority, able in sorted(tied.items()):
        if any(task.weight is not None for task in able):
            continue
        if len(able) > 1 and sum(task.max_containers for task in able) > cap:
            yield TIES.format(names=few([task.name for task in able]), priority=priority)


def drain_hints(tasks: Iterable[Task], end_s: float | None) -> Iterator[str]:
    """Yields a hint for each setting of a drain that may surprise. `end_s`: the seconds for drains at the end
    of the agent; None: it leaves the containers."""
    # One that nobody has written would only be news to its reader.
    tasks = [task for task in tasks if task.drain is not None and not (task.busy and task.busy.implied)]
    late = [task.name for task in tasks if task.drain and end_s is not None and task.drain.seconds > end_s]
    if late:
        yield (
            f"drain: {few(late)}: at the end of the agent their containers have MSS_EXIT_TIMEOUT_S, "
            f"{span(end_s or 0.0)}, to finish their jobs, and not drain.seconds; MSS_ON_EXIT=leave leaves "
            "them to the next agent"
        )
    unseen = [
        task.name
        for task in tasks
        if task.busy is None and task.drain and task.drain.seconds and task.drain.signal not in ENDS
    ]
    if unseen:
        yield (
            f"drain: {few(unseen)}: nothing shows that a container is idle, so one that does not end by "
            "itself has all of drain.seconds; busyFile or busyProbe would show it"
        )
