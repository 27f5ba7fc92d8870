"""The single containers of a task, for which the server asks its agents when a person looks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from microscaling.api.containers import question
from microscaling.server.domain.users import Agent, User

ANSWER_S = 2.5
"""Longest wait for the answers: agents report twice a second."""
POLL_INTERVAL_S = 0.1
MAX_ASKED = 20
"""Agents that are asked, those that connected last."""


async def containers_of(user: User, app: str) -> dict[str, Any]:
    """Returns the containers of a task, by agent; null for an agent that has not answered, or whose scheduler
    knows their number only."""
    agents = [agent for agent in user.agents.values() if agent.about is not None and app in agent.tasks]
    agents = agents[-MAX_ASKED:]
    # Asked also if the last report has an answer: the agent goes on with it for a few seconds only.
    for agent in agents:
        agent.line.ask(question(app))
    deadline = time.monotonic() + ANSWER_S
    while not all(_has_answered(agent, app) for agent in agents) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_INTERVAL_S)
    return {"app": app, "agents": [_entry(agent, app) for agent in agents]}


def _has_answered(agent: Agent, app: str) -> bool:
    told = agent.tasks.get(app)
    return told is None or told.answered


def _entry(agent: Agent, app: str) -> dict[str, Any]:
    told = agent.tasks.get(app)
    return {
        "agent": agent.id,
        "name": agent.about.name if agent.about else "",
        "answered": told is not None and told.answered,
        "containers": told.containers if told else None,
    }
