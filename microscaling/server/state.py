"""What pages and programs are shown of users, as the objects that docs/server.md describes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from microscaling.demand.task import Task
from microscaling.server import modes
from microscaling.server.plan import target_of
from microscaling.server.users import Agent, Decision, User, Users, now_ms
from microscaling.server.wire import Told

AGENTS_SHOWN = 50
USERS_SHOWN = 500
Json = dict[str, Any]


class Sum:
    """What all connected agents of a user tell of one task."""

    __slots__ = ("backing_off", "demand", "fallback", "held", "metric", "reason", "requested", "running",
                 "starting", "stopping", "told")  # fmt: skip

    def __init__(self) -> None:
        self.told: Told | None = None
        self.running = self.requested = self.demand = self.starting = self.stopping = self.metric = 0
        self.backing_off = False
        self.held = self.fallback = self.reason = ""

    def add(self, told: Told, wanted: int | None) -> None:
        """`wanted`: what the server wants of that agent; None: it decides itself."""
        self.told = told
        self.running += told.running
        self.requested += told.requested
        if told.requested > told.running:
            self.starting += told.requested - told.running
        else:
            self.stopping += told.running - told.requested
        own = told.requested if told.demand is None else told.demand
        self.demand += own if wanted is None else wanted
        self.metric = max(self.metric, told.metric)
        self.backing_off = self.backing_off or told.backing_off
        self.held = self.held or told.held
        self.fallback = self.fallback or told.fallback
        self.reason = told.reason or self.reason


def sums_of(user: User) -> dict[str, Sum]:
    """By task, all that have been told of."""
    sums: dict[str, Sum] = {}
    decides = _server_decides(user)
    for agent in user.agents.values():
        wanted = agent.wanted if decides and not user.decides_itself(agent) else {}
        for app, told in agent.tasks.items():
            found = sums.get(app)
            if found is None:
                found = sums[app] = Sum()
            found.add(told, wanted.get(app))
    return sums


def cap_of(user: User) -> int:
    """Containers that the tasks of all connected agents share; of one agent if there is none."""
    plan = user.wishes.plan
    own = plan.cap if plan else 0
    if not user.agents:
        return own
    return sum(own if agent.about is None else agent.about.cap or own for agent in user.agents.values())


def state_of(user: User) -> Json:
    """The event `state`."""
    wishes = user.wishes
    plan = wishes.plan
    models = {task.name: task for task in plan.models} if plan else {}
    sliders = modes.sliders(plan, wishes.sliders) if plan else {}
    sums = sums_of(user)
    reasons = _reasons(user) if _server_decides(user) else {}
    order = [*models, *sorted(sums.keys() - models.keys(), key=lambda app: (_priority(sums[app]), app))]
    shown = list(user.agents.values())[-AGENTS_SHOWN:]
    return {
        "user": user.name,
        "now": now_ms(),
        "configured": plan is not None,
        "version": wishes.version if plan else 0,
        "mode": wishes.mode,
        "paused": wishes.paused,
        "cap": cap_of(user),
        "agents": {"connected": len(user.agents), "shown": [_agent(agent) for agent in shown]},
        "tasks": [_task(app, models.get(app), sums.get(app), sliders, reasons) for app in order],
    }


def users_of(users: Users) -> Json:
    """The event `users`."""
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
    """The event `decisions`."""
    keys = ("id", "at", "agent", "app", "before", "after", "reason")
    return {"decisions": [{key: getattr(decision, key) for key in keys} for decision in decisions]}


def _server_decides(user: User) -> bool:
    wishes = user.wishes
    return wishes.plan is not None and wishes.mode != modes.OFF and not wishes.paused


def _reasons(user: User) -> dict[str, str]:
    return {decision.app: decision.reason for decision in user.decisions}


def _priority(of: Sum) -> int:
    return of.told.priority if of.told else 0


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
    measured = target is not None or (model is None and of.metric > 0)
    return {
        "app": app,
        "priority": model.priority if model else _priority(of),
        "min": model.min_containers if model else told.least if told else 0,
        "max": model.max_containers if model else told.most if told else 0,
        "rule": _rule(model, target),
        "image": model.image if model else "",
        "configured": model is not None,
        "reported": told is not None,
        "running": of.running,
        "requested": of.requested,
        "demand": of.demand,
        "starting": of.starting,
        "stopping": of.stopping,
        "backingOff": of.backing_off,
        "held": of.held,
        "fallback": of.fallback,
        "metric": of.metric if measured else None,
        "target": target,
        "slider": sliders.get(app, of.demand),
        "reason": reasons.get(app) or of.reason,
    }


def _rule(model: Task | None, target: int | None) -> str:
    if model is None:
        return "" if target is None else "Queue"
    if target is None:
        return "Remainder"
    return "SimpleQueue" if type(model.target).__name__.startswith("Simple") else "Queue"
