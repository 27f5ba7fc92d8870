"""The decision of a beat: the measurement, and the allocation of the cap by priority.

Pure: no I/O, no clock, no threads. The caller holds the lock of `Tasks`. All counts are containers. The rules
are the Go agent's (tests/vectors); guard.py, reallocate.py and rest.py correct their weaknesses.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from microscaling.demand.reason import (
    ABOVE_MAXIMUM,
    BACK,
    BACK_LATE,
    BELOW_MINIMUM,
    GAVE_LATE,
    GAVE_WAY,
    UP,
    UP_LATE,
    Reason,
)
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.guard import guard
from microscaling.engine.reallocate import reallocate
from microscaling.target.base import Observation
from microscaling.target.remainder import RemainderTarget

__all__ = ["allocate", "guard", "measure", "reallocate", "scaling_calculation"]

# Thousands of tasks are decided on several times a second, so this module computes `Task.serving`,
# `scale_up_count` and `scale_down_count` in place. Tests compare the two.


def measure(tasks: Tasks, now: float = 0.0) -> None:
    """Computes each task's ideal number of containers from its reading, and notes which tasks have settled.

    Called once per reading, as targets keep state. A held task keeps its last ideal.
    """
    for task in tasks.tasks:
        serving = task.running - task.stopping + task.parked
        task.settled = serving == task.requested or task.overdue
        task.reallocated = False
        if not task.held:
            target = task.target
            if target.by_delta:  # saves an Observation for each of thousands of tasks
                task.ideal_containers = serving + target.delta(task.metric.current)
            else:
                metric = task.metric
                task.ideal_containers = target.decide(
                    Observation(
                        metric.current,
                        serving,
                        task.requested,
                        task.measured_s,
                        metric.measured,
                        now,
                        task.measured_at,
                    )
                )


def scaling_calculation(tasks: Tasks) -> bool:
    """Measures and allocates: the Go agent's decision, without the guard. Returns True if any demand was
    set."""
    measure(tasks)
    return allocate(tasks)


def allocate(tasks: Tasks) -> bool:
    """Shares the cap by priority. Returns True if any demand was set, even to its old value.

    Only settled tasks move by their own reading. First, tasks with more than they need give back; then the
    others take free places, the most important first. For a task that is still short, less important ones
    give way; the places that they give are free at the next calculation.
    """
    order = tasks.by_priority()
    free, takers, needs, changed = _give_back(order, tasks.places())
    first = len(takers)
    for i, task in enumerate(takers):
        if free <= 0:  # none of the others gets anything
            first = min(first, i)
            break
        wants = needs[i]
        if free < wants:
            first, needs[i] = i, wants - free
        taken = wants if wants < free else free
        requested, demand = task.requested, task.demand
        after = requested + taken
        changed = True
        if after != demand:
            wanted = task.ideal_containers > requested
            if wanted and requested < task.min_containers:
                wanted = not task.target.meeting(task.metric.current)
            rule = UP if wanted else task.override or BELOW_MINIMUM
            metric = task.metric
            task.reason = Reason(
                rule,
                demand,
                after,
                wants,
                free,
                "",
                task.target.at_this_moment(),
                metric.current,
                0,
                metric.measured,
            )
            if after < demand:
                _from_requested(task, UP_LATE)
            task.demand = after
        free -= taken
    # A task asks only after it took the last free place, so no donor below it has taken before.
    return (first < len(takers) and _give_way(order, takers, needs, first, free)) or changed


def _give_back(order: list[Task], cap: int) -> tuple[int, list[Task], list[int], bool]:
    """Lowers the demand of tasks with more than they need. Returns the places free then (negative above the
    cap), the tasks that want more, their numbers, and whether any demand was set."""
    free = cap
    # Two lists, as a tuple for each of thousands of tasks would keep the garbage collector busy.
    takers: list[Task] = []
    needs: list[int] = []
    changed = False
    for task in order:
        requested = task.requested
        free -= requested
        # Unsettled only while a container is created or started: one that stops, or waits for a place,
        # freezes no task.
        if (
            requested != task.running - task.stopping + task.parked
            and not task.overdue
            and not task.target.absolute
        ):
            continue
        if not task.is_scalable or task.held or task.backing_off:
            continue
        change = task.ideal_containers - requested
        if change > 0:
            if task.target.meeting(task.metric.current):
                change = 0
        elif change < 0 and not task.target.exceeding(task.metric.current):
            change = 0
        most = task.max_containers if task.room is None else min(task.max_containers, task.room)
        least, most = task.min_containers - requested, most - requested
        if change < least:
            change = least
        if change > most:  # the second check, so the maximum wins over a larger minimum
            change = most
        if change > 0:
            max_delta = task.max_delta
            if max_delta > 0:
                takers.append(task)
                needs.append(change if change < max_delta else max_delta)
        elif change < 0 and requested != task.min_containers:
            change = max(change, -task.max_delta)
            if change < 0:
                free -= change
                changed = True
                _lower(task, change)
    return free, takers, needs, changed


def _lower(task: Task, change: int) -> None:
    after = task.requested + change
    if after != task.demand:
        rule = ABOVE_MAXIMUM if task.requested > task.max_containers else BACK
        wants = task.requested - task.ideal_containers
        metric = task.metric
        task.reason = Reason(
            rule,
            task.demand,
            after,
            wants,
            0,
            "",
            task.target.at_this_moment(),
            metric.current,
            0,
            metric.measured,
        )
        if after > task.demand:
            _from_requested(task, BACK_LATE)
        task.demand = after


def _give_way(order: list[Task], takers: list[Task], needs: list[int], first: int, free: int) -> bool:
    """Makes less important tasks give to the takers from the `first` on, which are short of what they need,
    and of the places that are taken above the cap. Returns True if any demand was set.

    Each asker, in order of priority, takes from tasks of strictly lower priority their surplus above the
    minimum, the last in the order first, until it has enough.
    """
    donors = [
        task
        for task in reversed(order)
        if task.requested > task.min_containers and task.is_scalable and not task.backing_off
    ]
    if not donors:
        return False
    # A later asker overwrites the result of an earlier one, so only the last one to reach a donor counts.
    # Walking the askers backwards finds it without trying each with each: a donor that gives in full always
    # ends at the same demand, and is passed for good.
    can_give = [task.requested - task.min_containers for task in donors]
    sums = list(accumulate(can_give))
    lower = done = 0
    for k in range(len(takers) - 1, first - 1, -1):
        asker, short = takers[k], needs[k] - free
        if isinstance(asker.target, RemainderTarget):
            continue
        while lower < len(donors) and donors[lower].priority > asker.priority:
            lower += 1
        if not lower:
            continue
        in_full = bisect_right(sums, short, 0, lower)
        for i in range(done, in_full):
            _give(donors[i], can_give[i], asker, short)
        done = max(done, in_full)
        rest = short - (sums[in_full - 1] if in_full else 0)
        if done == in_full < lower and rest:
            _give(donors[in_full], rest, asker, short)
            done += 1
        if done == len(donors):
            break
    return done > 0


def _give(donor: Task, given: int, asker: Task, short: int) -> None:
    after, demand = donor.requested - given, donor.demand
    if after != demand:
        was = donor.reason  # the donor may have given back just before
        donor.reason = Reason(GAVE_WAY, demand, after, short, 0, asker.name).on_top_of(was)
        if after > demand:
            donor.reason.wants = given
            _from_requested(donor, GAVE_LATE)
        donor.demand = after


def _from_requested(task: Task, rule: str) -> None:
    """Marks a change that starts from `requested`: demand had run ahead of it, so it moves the other way than
    the rule."""
    assert task.reason is not None
    task.reason.rule, task.reason.given = rule, task.requested
