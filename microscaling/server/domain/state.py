"""The state of users for pages and programs, in the form that docs/server.md describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from microscaling.api.jobs import jobs_of
from microscaling.demand.task import Task
from microscaling.metric.measurement import Measurement
from microscaling.server.domain import modes
from microscaling.server.domain.journal import Decision, now_ms
from microscaling.server.domain.modes import Demand
from microscaling.server.domain.outlook import Outlook, outlooks
from microscaling.server.domain.reports import MAX_METRIC, TaskReport
from microscaling.server.domain.user_config import target_of
from microscaling.server.domain.users import Agent, User, Users
from microscaling.target.remainder import RemainderTarget

AGENTS_SHOWN = 50
USERS_SHOWN = 500
NO_OUTLOOK = Outlook()
Json = dict[str, Any]


class Sum:
    """The reports of all connected agents of a user on one task, added up."""

    __slots__ = (
        "agents",
        "backing_off",
        "demand",
        "failing",
        "fallback",
        "frozen",
        "held",
        "measured",
        "metric",
        "orders",
        "override",
        "reading",
        "reason",
        "requested",
        "resting",
        "running",
        "starting",
        "stopping",
        "told",
        "warm_bytes",
        "warnings",
    )  # fmt: skip

    def __init__(self) -> None:
        self.told: TaskReport | None = None
        self.agents = self.running = self.requested = self.demand = self.starting = self.stopping = 0
        self.frozen = self.warm_bytes = 0
        self.metric: int | None = None
        """The largest number of items that an agent has sent; None: no agent has."""
        self.measured: Measurement | None = None
        """The jobs behind `metric` by their state; None: its source gives one number only."""
        self.reading: int | None = None
        """The same, without those of agents that hold the task, or are in fallback: these are out of date."""
        self.backing_off = False
        self.failing: Json | None = None
        self.held = self.fallback = self.reason = self.resting = self.override = ""
        self.warnings: tuple[str, ...] = ()
        self.orders = 0
        """Agents that take orders for the task."""

    def add(self, told: TaskReport, wanted: int | None, held: str) -> None:
        """Adds an agent's report. `wanted`: containers that the server wants of that agent, None: it decides
        itself; `held`: the reason why the agent, or the server for it, has no reading."""
        # Called for each task of each agent at every state, so it is written for speed.
        self.told = told
        self.agents += 1
        running, requested, metric = told.running, told.requested, told.metric
        self.running += running
        self.requested += requested
        if requested > running:
            self.starting += requested - running
        elif running > requested:
            self.stopping += running - requested
        if told.frozen:
            self.frozen += told.frozen
            self.warm_bytes += told.warm_bytes
        if wanted is None:
            wanted = requested if told.demand is None else told.demand
        self.demand += wanted
        if metric is not None:
            if self.metric is None or metric > self.metric:
                self.metric = metric
                self.measured = told.measured
            if (self.reading is None or metric > self.reading) and not (held or told.fallback):
                self.reading = metric
        if told.backing_off:
            self.backing_off = True
            self.resting = self.resting or told.resting
        if held:
            self.held = self.held or held
        if told.fallback:
            self.fallback = self.fallback or told.fallback
        if told.failing:
            self.failing = told.failing
        if told.override:
            self.override = self.override or told.override
        if told.warnings:
            self.warnings = self.warnings or told.warnings
        if told.reason:
            self.reason = told.reason


def sums_of(user: User, only: Agent | None = None) -> dict[str, Sum]:
    """Returns the sums of all reported tasks, by task. `only`: of this agent alone."""
    sums: dict[str, Sum] = {}
    decides = _server_decides(user)
    for agent in user.agents.values() if only is None else (only,):
        heeds = decides and not user.decides_itself(agent)
        wanted = agent.wanted if heeds else {}
        held = agent.queues.held() if heeds and agent.queues else {}
        for app, told in agent.tasks.items():
            found = sums.get(app)
            if found is None:
                found = sums[app] = Sum()
            if agent.about is not None and agent.about.orders:
                found.orders += 1
            found.add(told, wanted.get(app), told.held or (held.get(app, "") if held else ""))
    return sums


def present_demand(user: User) -> Demand:
    """Returns the containers that are wanted now of each reported task, for one agent: the rounded average
    of all agents that have it."""
    return {app: round(of.demand / of.agents) for app, of in sums_of(user).items()}


def cap_of(user: User, only: Agent | None = None) -> int | None:
    """Returns the sum of the caps of all connected agents, the cap of the configuration without agents.
    `only`: of this agent alone.

    None: an agent has not sent its cap, and there is no configuration.
    """
    plan = user.wishes.plan
    own = plan.cap if plan else None
    if not user.agents:
        return own
    agents = user.agents.values() if only is None else (only,)
    caps = [own if a.about is None or a.about.cap is None else a.about.cap for a in agents]
    known = [cap for cap in caps if cap is not None]
    # A sum of the known ones alone would be too small.
    return sum(known) if len(known) == len(caps) else None


def state_of(user: User, late_s: float = 0.0, agent: str = "") -> Json:
    """Returns the event `state`. `late_s`: the delay of reading reports, 0 if it is short; `agent`: the name
    or number of the agent that it is about, of all if it is empty or not connected."""
    wishes = user.wishes
    only = user.find_agent(agent)
    plan = wishes.plan
    models = {task.name: task for task in plan.models} if plan else {}
    sliders = modes.sliders(plan, wishes.sliders) if plan else {}
    sums = sums_of(user, only)
    reasons = _reasons(user) if _server_decides(user) else {}
    views = outlooks(user, user.agents.values() if only is None else (only,))
    order = [*models, *sorted(sums.keys() - models.keys(), key=lambda app: (_priority(sums[app]), app))]
    shown = list(user.agents.values())[-AGENTS_SHOWN:]  # the newest, as there may be thousands
    return {
        "user": user.name,
        "now": now_ms(),
        "configured": plan is not None,
        "version": wishes.version if plan else 0,
        "mode": wishes.mode,
        "paused": wishes.paused,
        "set": {what: dataclasses.asdict(origin) for what, origin in wishes.origins.items()},
        "cap": cap_of(user, only),
        "lateSeconds": late_s,
        "agent": only.id if only else None,
        "agents": {
            "connected": len(user.agents),
            "local": sum(map(user.decides_itself, user.agents.values())),
            "shown": [_agent(agent) for agent in shown],
        },
        "tasks": [
            _task(app, models.get(app), sums.get(app), sliders, reasons)
            | _outlook(views.get(app, NO_OUTLOOK))
            for app in order
        ],
    }


def users_of(users: Users) -> Json:
    """Returns the event `users`: those with agents first, at most USERS_SHOWN."""
    everyone = sorted(users.users.values(), key=lambda user: (not user.agents, user.name))
    shown = [
        {
            "user": user.name,
            "agents": len(user.agents),
            "configured": user.wishes.plan is not None,
            "mode": user.wishes.mode,
            "paused": user.wishes.paused,
        }
        for user in everyone[:USERS_SHOWN]
    ]
    return {"users": shown, "more": len(everyone) - len(shown)}


def decisions_of(decisions: Iterable[Decision]) -> Json:
    """Returns the event `decisions`."""
    keys = ("id", "at", "agent", "name", "app", "before", "after", "reason")
    return {"decisions": [{key: getattr(decision, key) for key in keys} for decision in decisions]}


def _server_decides(user: User) -> bool:
    wishes = user.wishes
    return wishes.plan is not None and wishes.mode != modes.OFF and not wishes.paused


def _reasons(user: User) -> dict[str, str]:
    return {decision.app: decision.reason for decision in user.decisions}


def _priority(of: Sum) -> int:
    """Returns the reported priority; without one, a task is listed with the least important."""
    known = of.told.priority if of.told else None
    return MAX_METRIC if known is None else known


def _agent(agent: Agent) -> Json:
    about = agent.about
    return {
        "id": agent.id,
        "name": about.name if about else "",
        "version": about.version if about else "",
        "engine": about.engine if about else "",
        "detail": about is not None,
        "since": agent.since,
        "last": agent.last,
        "received": agent.received,
        "hold": about.hold if about else "",
        "orphans": about.orphans if about else "",
    }


def _task(
    app: str,
    model: Task | None,
    of: Sum | None,
    sliders: dict[str, int],
    reasons: dict[str, str],
) -> Json:
    told = of.told if of else None
    target = target_of(model) if model else told.target if told else None
    of = of or Sum()
    rule = _rule(model, told, target)
    # A rule may measure without a target length, such as one that keeps a promise.
    measured = target is not None or rule not in ("", RemainderTarget.type_name)
    measured = measured or (model is None and bool(of.metric))
    return {
        "app": app,
        "priority": model.priority if model else told.priority if told else None,
        "min": model.min_containers if model else told.least if told else None,
        "max": model.max_containers if model else told.most if told else None,
        "rule": rule,
        "image": model.image if model else "",
        "configured": model is not None,
        "reported": told is not None,
        "running": of.running,
        "requested": of.requested,
        "demand": of.demand,
        "starting": of.starting,
        "stopping": of.stopping,
        "frozen": of.frozen,
        "warmBytes": of.warm_bytes,
        "backingOff": of.backing_off,
        "resting": of.resting,
        "failing": of.failing,
        "held": of.held,
        "fallback": of.fallback,
        "metric": of.metric if measured else None,
        "jobs": jobs_of(of.measured) if measured and of.measured else None,
        "target": target,
        "override": of.override,
        "warnings": list(of.warnings),
        "orders": of.orders,
        "slider": sliders.get(app, of.demand),
        "reason": reasons.get(app) or of.reason,
    }


def _outlook(view: Outlook) -> Json:
    band = view.band
    return {
        "now": view.now,
        "back": band.back if band and band.back >= 0 else None,
        "more": band.more if band else None,
        "learned": view.learned,
        "metrics": list(view.metrics),
    }


def _rule(model: Task | None, told: TaskReport | None, target: int | None) -> str:
    if model is not None:
        return model.target.type_name
    if told is not None and told.rule:
        return told.rule
    return "" if target is None else "Queue"
