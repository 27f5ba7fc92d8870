"""Fair shares: tasks of equal priority share by weight, as far as they want.

Without a weight the order in the list decides, as in the Go agent. Pure; the caller holds the lock of
`Tasks`. Counts are containers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter

from microscaling.demand.reason import SHARE_GAVE, SHARE_TOOK, Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.donors import minimum

_priority = attrgetter("priority")


def share(tasks: Tasks) -> bool:
    """Shares out anew the demand of each priority in which a task has a weight. Returns True if any demand
    changed. The sum of each priority stays, so the cap and the other priorities are not concerned."""
    changed = False
    for _, group in groupby(tasks.by_priority(), _priority):
        members = list(group)
        if any(task.weight is not None for task in members):
            changed = _share([task for task in members if _moves(task)]) or changed
    return changed


def _moves(task: Task) -> bool:
    # As in the allocation, a task in the middle of a change stays: its reading is of another number.
    settled = task.requested == task.serving() or task.overdue or task.target.absolute
    return settled and task.is_scalable and not task.held and not task.backing_off


def _share(group: Sequence[Task]) -> bool:
    if len(group) < 2:
        return False
    wants = [wish(task) for task in group]
    total = sum(task.demand for task in group)
    if sum(wants) <= total:  # no one is short
        return False
    # One with a metric that cannot be read may want more than is known: it gives nothing.
    floors = [max(minimum(task), task.demand if task.metric.lacking else 0) for task in group]
    least = [min(floor, want) for floor, want in zip(floors, wants, strict=True)]
    weights = [1.0 if task.weight is None else task.weight for task in group]
    exact = level(total, weights, least, wants)
    changed = False
    for task, count in zip(group, whole(exact, total, [task.demand for task in group]), strict=True):
        if count == task.demand:
            continue
        before, metric = task.demand, task.metric
        target = task.target.at_this_moment()
        rule = SHARE_TOOK if count > before else SHARE_GAVE
        reason = Reason(
            rule, before, count, wish(task), total, "", target, metric.current, count, metric.measured
        )
        task.reason = reason.on_top_of(task.reason)
        task.demand = count
        changed = True
    return changed


def wish(task: Task) -> int:
    """Returns the containers that a task wants, within its minimum and maximum."""
    ideal, has, current = task.ideal_containers, task.requested, task.metric.current
    if (ideal > has and task.target.meeting(current)) or (ideal < has and not task.target.exceeding(current)):
        ideal = has
    ideal = max(has - task.max_delta, min(ideal, has + task.max_delta))
    return max(minimum(task), min(ideal, task.most()))


def level(total: int, weights: Sequence[float], least: Sequence[int], most: Sequence[int]) -> list[float]:
    """Returns the max-min fair shares of `total`: each as high as the water level times its weight, but
    within `least` and `most`. (Water-filling: Bertsekas and Gallager, Data Networks, 6.5.2.)"""
    if total >= sum(most):
        return [float(each) for each in most]
    if total <= sum(least):
        # Not even the minimums: they are cut by weight in the same way.
        return level(total, weights, [0] * len(least), least) if any(least) else [0.0] * len(least)
    # The sum of all shares grows with the level, in pieces that end where one share meets its bound.
    bounds = sorted(
        {bound / weight for each in (least, most) for bound, weight in zip(each, weights, strict=True)}
    )
    low = 0.0
    for high in bounds:
        if _sum(high, weights, least, most) >= total:
            break
        low = high
    at_low, at_high = (_sum(at, weights, least, most) for at in (low, high))
    at = low if at_high == at_low else low + (total - at_low) / (at_high - at_low) * (high - low)
    return [min(m, max(n, at * w)) for w, n, m in zip(weights, least, most, strict=True)]


def _sum(at: float, weights: Iterable[float], least: Iterable[int], most: Iterable[int]) -> float:
    return sum(min(m, max(n, at * w)) for w, n, m in zip(weights, least, most, strict=True))


def whole(exact: Sequence[float], total: int, has: Sequence[int]) -> list[int]:
    """Rounds shares to whole containers, each by less than one; their sum is `total`. `has`: the containers
    now; a task that has the rounded-up number keeps it, so that no container changes hands for a
    fraction."""
    down = [int(share + 1e-9) for share in exact]
    left = total - sum(down)
    order = sorted(range(len(exact)), key=lambda i: (has[i] <= down[i], down[i] - exact[i], i))
    for i in order:
        if left > 0 and exact[i] - down[i] > 1e-9:
            down[i] += 1
            left -= 1
    return down
