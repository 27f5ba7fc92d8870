"""The modes of a user, the source of the demand for its agents: none, chance, a person, or the queues."""

from __future__ import annotations

import random
from collections.abc import Mapping

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine import scaling
from microscaling.engine.decider import changes_since, demands_of
from microscaling.engine.rest import Rests
from microscaling.server.domain.reports import TaskReport
from microscaling.server.domain.user_config import Plan

OFF, RANDOM, MANUAL, QUEUE = "off", "random", "manual", "queue"
MODES = (OFF, RANDOM, MANUAL, QUEUE)
STEP_S = 2.0
"""Time between two steps of chance."""
MAX_STEP = 0.4
"""Longest step, as a part of the range from minimum to maximum."""
BEAT_S = 0.5
MEASURE_AFTER_S = 0.3
"""Reports that follow sooner are no new measurement."""
# The controller's velocity is per beat, so a measurement must not come much sooner than a beat.

NO_READING = (
    "the agent has sent no reading of it (the Go agent measures nothing with MSS_DEMAND_ENGINE=SERVER)"
)
SEVERAL = (
    "it has several metrics, and a report has one number: let its agent decide (MSS_DEMAND_ENGINE=LOCAL)"
)
UNKNOWN = "the agent does not know this task"

Demand = dict[str, int]
"""Containers by name of the task, for one agent."""


def random_step(plan: Plan, before: Mapping[str, int], chance: random.Random) -> Demand:
    """Returns the demand after a random step of the most important task; the others take the rest.

    A step that would go past an end of the range stops there, so both ends are reached often.
    """
    if not plan.models:
        return {}
    first, *others = plan.models
    least = first.min_containers
    most = max(least, min(first.max_containers, plan.cap - sum(task.min_containers for task in others)))
    longest = max(1, round((most - least) * MAX_STEP))
    here = min(max(before.get(first.name, (least + most) // 2), least), most)
    there = min(max(here + chance.choice((-1, 1)) * chance.randint(1, longest), least), most)
    demand = {first.name: there}
    left = plan.cap - there - sum(task.min_containers for task in others)
    for task in others:
        more = max(0, min(left, task.max_containers - task.min_containers))
        demand[task.name] = task.min_containers + more
        left -= more
    return within_cap(plan, demand)


def sliders(plan: Plan, wanted: Mapping[str, int]) -> Demand:
    """Returns the position of each slider: the one that a person has set, else the task's minimum."""
    return {
        task.name: min(max(wanted.get(task.name, 0), task.min_containers), task.max_containers)
        for task in plan.models
    }


def within_cap(plan: Plan, wanted: Mapping[str, int]) -> Demand:
    """Returns the wanted demand within the cap; the least important tasks give up the excess."""
    tasks = Tasks(
        [
            Task(
                model.name,
                demand=wanted.get(model.name, model.min_containers),
                priority=model.priority,
                min_containers=model.min_containers,
                max_containers=model.max_containers,
            )
            for model in plan.models
        ],
        plan.cap,
    )
    scaling.guard(tasks)
    return {task.name: task.demand for task in tasks.tasks}


class Queues:
    """The calculation of the LOCAL engine for one agent, with the readings of its reports."""

    def __init__(self, plan: Plan) -> None:
        self.tasks: Tasks = plan.tasks()
        self._rests = Rests(self.tasks.tasks)
        for task in self.tasks.tasks:  # the agent asks the source no more often
            task.measured_s = max(BEAT_S, task.metric.interval_s)
            task.target.paced(task.measured_s / BEAT_S)
        self._measured = float("-inf")
        self._adopted: set[str] = set()
        self._gap: set[str] = set()

    def hear(
        self, told: Mapping[str, TaskReport], now: float, occupied: int = 0
    ) -> list[tuple[str, int, int, str]]:
        """Decides after a report that came at `now` (seconds). `occupied`: places under the cap that the
        agent cannot share out. Returns the changes: task, demand before and after, and the reason.
        """
        self.tasks.occupied = occupied
        for task in self.tasks.tasks:
            told_of = told.get(task.name)
            if told_of is None:
                # Not scalable: new demand for a task that the agent does not have would keep others from
                # their share. The present demand stays, as its containers may still run.
                task.held, task.is_scalable = UNKNOWN, False
                self._gap.add(task.name)
            else:
                self._take(task, told_of, now)
        before = demands_of(self.tasks)
        if now - self._measured >= MEASURE_AFTER_S:
            self._measured = now
            scaling.measure(self.tasks, now)
            self._rests.look(now)
            scaling.allocate(self.tasks)
            scaling.guard(self.tasks)
            self._rests.fill(self.tasks)
        else:
            scaling.reallocate(self.tasks)
        changes = changes_since(before)
        return [(name, was, demand, str(reason or "")) for name, was, demand, reason in changes]

    def demand(self) -> Demand:
        """Returns the containers wanted of each task that the agent has."""
        return {task.name: task.demand for task in self.tasks.tasks if task.name in self._adopted}

    def held(self) -> dict[str, str]:
        """Returns the agent's tasks without a usable reading, and the reasons."""
        return {task.name: task.held for task in self.tasks.tasks if task.held and task.is_scalable}

    def _take(self, task: Task, told: TaskReport, now: float) -> None:
        # At its first report, and after it was missing, a task starts with the containers that it has.
        if task.name not in self._adopted or not task.is_scalable:
            self._adopted.add(task.name)
            task.is_scalable = True
            task.demand = told.requested
        task.requested, task.running = told.requested, told.running
        task.stopping, task.parked, task.overdue = told.stopping, told.parked, told.overdue
        task.backing_off = told.backing_off
        if told.backing_off:
            task.demand = told.requested
        task.held = told.held or told.fallback
        if task.target.rules:
            task.held = task.held or SEVERAL
        if told.metric is None and not task.is_remainder():
            task.held = task.held or NO_READING
        if task.held:
            self._gap.add(task.name)
            return
        task.metric.current = told.metric or 0  # only a remainder has none here
        task.metric.measured, task.measured_at = told.measured, now
        if task.name in self._gap:  # the velocity across a gap would be wrong
            task.target.reset()
            self._gap.discard(task.name)
