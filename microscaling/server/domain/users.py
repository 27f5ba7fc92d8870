"""Whose agents are connected, what they told, and what is wanted of them. Nothing here does I/O."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from microscaling.engine.readings import few
from microscaling.server.domain import modes
from microscaling.server.domain.modes import Demand, Queues
from microscaling.server.domain.reports import AgentInfo, Report, TaskReport
from microscaling.server.domain.user_config import Plan
from microscaling.server.limits import (
    MAX_AGENTS,
    MAX_SILENT,
    MAX_TOLD,
    MAX_USERS,
    SILENT_S,
    Full,
    Refused,
)

log = logging.getLogger("mssserver")

DECISIONS_KEPT = 100
MAX_LOOKED_AT = 32
"""Silent connections, the oldest first, before a newcomer is refused: each costs a system call."""


def now_ms() -> int:
    """Unix milliseconds, for people to read; never for intervals."""
    return int(time.time() * 1000)


class Line(Protocol):
    """The connection of an agent."""

    def silent_s(self, now: float) -> float:
        """Seconds for which nothing has come over it, 0 if something waits to be read."""

    def evict(self) -> None:
        """Closes it, to make room."""


@dataclass(slots=True, eq=False)
class Agent:
    """One connection of an agent. `offer` sends it the demand, as soon as it can be sent."""

    id: int
    offer: Callable[[Demand], None]
    line: Line
    since: int = field(default_factory=now_ms)
    last: int = 0
    received: int = 0
    user: User | None = None
    tasks: dict[str, TaskReport] = field(default_factory=dict)
    about: AgentInfo | None = None
    measures: bool = False
    """One of its reports had a metric, so it measures: the Go agent leaves out only those that are 0."""
    queues: Queues | None = None
    wanted: Demand = field(default_factory=dict)
    """What the server wants of it; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One change of demand."""

    id: int
    at: int
    agent: int | None
    app: str
    before: int
    after: int
    reason: str


@dataclass(slots=True)
class UserSettings:
    """What a person has set for a user, and what the store keeps."""

    version: int = 0
    plan: Plan | None = None
    mode: str = modes.OFF
    paused: bool = False
    sliders: dict[str, int] = field(default_factory=dict)


class User:
    """One name: its wishes, its agents, and the last decisions."""

    def __init__(self, name: str, changed: Callable[[User], None], ids: Iterator[int]) -> None:
        self.name = name
        self.wishes = UserSettings()
        self.agents: dict[int, Agent] = {}
        self.decisions: deque[Decision] = deque(maxlen=DECISIONS_KEPT)
        self.walk: Demand = {}
        """Where chance has got to."""
        self._held: set[str] = set()
        """Tasks without a reading that the log has named since these wishes are in effect."""
        self._changed = changed
        self._ids = ids

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if it were forgotten."""
        return not self.agents and self.wishes.version == 0

    def set(self, wishes: UserSettings) -> None:
        """Puts new wishes into effect."""
        old, self.wishes = self.wishes, wishes
        if old.plan is not wishes.plan or old.mode != wishes.mode or old.paused != wishes.paused:
            for agent in self.agents.values():
                agent.queues = None
                if old.plan is not wishes.plan:
                    agent.wanted = {}
            self._held = set()
        if old.plan is not wishes.plan or wishes.mode != modes.RANDOM:
            self.walk = {}
        if wishes.mode == modes.RANDOM and not self.walk:
            self.step(random.Random())  # nosec B311  # moves a demonstration
        else:
            self.decide("set by hand")

    def step(self, chance: random.Random) -> None:
        """Chance moves on, if it is its turn."""
        wishes = self.wishes
        if wishes.mode == modes.RANDOM and wishes.plan and not wishes.paused:
            self.walk = modes.random_step(wishes.plan, self.walk, chance)
            self.decide("by chance")

    def decide(self, reason: str) -> None:
        """Tells every agent what a person or chance wants."""
        self._changed(self)
        demand = self._common()
        if demand is None:
            return
        for agent in self.agents.values():
            self._want(agent, demand, reason)

    def hear(self, agent: Agent, report: Report, now: float) -> None:
        """Takes in one report; `now` in seconds of a clock that never goes back."""
        if report.about is None:
            _read_as_the_go_agents(agent, report)
        known, agent.tasks = agent.tasks, report.tasks
        agent.about = report.about
        self._changed(self)
        wishes = self.wishes
        if wishes.plan is None or wishes.mode == modes.OFF or wishes.paused or self.decides_itself(agent):
            self._note_own(agent, known)
        elif wishes.mode == modes.QUEUE:
            if agent.queues is None:
                agent.queues = Queues(wishes.plan)
            occupied = report.about.occupied if report.about else 0
            for app, before, after, reason in agent.queues.hear(report.tasks, now, occupied):
                self.note(agent, app, before, after, reason)
            self._say_held(agent.queues.held())
            agent.wanted = agent.queues.demand()
            agent.offer(agent.wanted)

    def welcome(self, agent: Agent) -> None:
        """An agent has said that it is this user's: it gets at once what is wanted."""
        agent.user = self
        self.agents[agent.id] = agent
        demand = self._common()
        if demand is not None:
            agent.wanted = demand
            agent.offer(demand)
        self._changed(self)

    def leave(self, agent: Agent) -> None:
        self.agents.pop(agent.id, None)
        self._changed(self)

    def note(self, agent: Agent | None, app: str, before: int, after: int, reason: str) -> None:
        """Keeps one change of demand for the page."""
        source = None if agent is None else agent.id
        self.decisions.append(Decision(next(self._ids), now_ms(), source, app, before, after, reason))

    def decides_itself(self, agent: Agent) -> bool:
        """Whether it is known not to listen to the server's demand."""
        return agent.about is not None and agent.about.engine not in ("", "SERVER")

    def _common(self) -> Demand | None:
        """What is wanted of every agent alike; None: nothing, or each has its own."""
        wishes = self.wishes
        if wishes.plan is None or wishes.paused:
            return None
        if wishes.mode == modes.RANDOM:
            return self.walk
        if wishes.mode == modes.MANUAL:
            return modes.within_cap(wishes.plan, modes.sliders(wishes.plan, wishes.sliders))
        return None

    def _want(self, agent: Agent, demand: Demand, reason: str) -> None:
        if not self.decides_itself(agent):
            for app, after in demand.items():
                before = agent.wanted.get(app)
                if before is not None and before != after and app in agent.tasks:
                    self.note(agent, app, before, after, reason)
        agent.wanted = demand
        agent.offer(demand)

    def _note_own(self, agent: Agent, known: Mapping[str, TaskReport]) -> None:
        """The agent's own decisions, as far as they can be seen."""
        for app, told in agent.tasks.items():
            before = known.get(app)
            if before is None:
                continue
            was = before.requested if before.demand is None else before.demand
            now = told.requested if told.demand is None else told.demand
            if was != now:
                self.note(agent, app, was, now, told.reason)

    def _say_held(self, held: Mapping[str, str]) -> None:
        """Names each task once, as one without a reading is never scaled by its queue."""
        if held and (new := held.keys() - self._held):
            self._held |= new
            app = min(new)
            log.warning("%s of user %s held: %s", few(sorted(new)), self.name, held[app])


def _read_as_the_go_agents(agent: Agent, report: Report) -> None:
    """Decides about metrics that are left out of a report without details.

    The Go agent leaves out a metric of 0, and with MSS_DEMAND_ENGINE=SERVER it measures nothing. It measures
    all of its tasks or none. So from the first metric of a connection on, one that is left out is 0; until
    then there is no reading, and a task that starts with an empty queue is held until its first item.
    """
    told = report.tasks.values()
    agent.measures = agent.measures or any(told_of.metric is not None for told_of in told)
    if agent.measures:
        for told_of in told:
            told_of.metric = told_of.metric or 0


class Users:
    """All users, all agents, and who wants to know when something changes."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.agents: dict[int, Agent] = {}
        self.reports = 0
        self._told = 0
        self.listeners: list[Callable[[User], None]] = []
        self._silent: dict[int, Agent] = {}
        self._decision_ids = iter(range(1, 2**62))
        self._agent_ids = iter(range(1, 2**62))

    def get(self, name: str) -> User:
        """The user of that name, there or not: an unknown one is not kept."""
        return self.users.get(name) or User(name, self._tell, self._decision_ids)

    def keep(self, user: User) -> User:
        """From now on it is known. Raises Refused if there are too many."""
        if user.name not in self.users and len(self.users) >= MAX_USERS:
            raise Refused(f"more than {MAX_USERS} users")
        return self.users.setdefault(user.name, user)

    def connect(self, offer: Callable[[Demand], None], line: Line) -> Agent:
        """A new agent that has not said yet whose it is. Raises Refused if there are too many, Full if
        that may change at any moment."""
        if len(self.agents) >= MAX_AGENTS:
            raise Refused(f"more than {MAX_AGENTS} agents")
        if len(self._silent) >= MAX_SILENT and not self._evict_one():
            raise Full(f"more than {MAX_SILENT} agents that have not said yet whose they are")
        agent = Agent(next(self._agent_ids), offer, line)
        self.agents[agent.id] = self._silent[agent.id] = agent
        return agent

    def _evict_one(self) -> bool:
        """Closes the connection that has been silent longest, if there is one: not to have been read is not
        to be silent."""
        now = time.monotonic()
        for number, agent in enumerate(self._silent.values()):
            if number >= MAX_LOOKED_AT:
                return False
            if agent.line.silent_s(now) >= SILENT_S:
                del self._silent[agent.id]
                agent.line.evict()
                return True
        return False

    def hear(self, agent: Agent, report: Report, now: float) -> None:
        """An agent has reported. Raises Refused if there is no room for what it tells."""
        more = len(report.tasks) - len(agent.tasks)
        if self._told + more > MAX_TOLD:
            raise Refused(f"all agents together tell of more than {MAX_TOLD} tasks")
        if agent.user is None:
            user = self.keep(self.get(report.user))
            self._silent.pop(agent.id, None)
            user.welcome(agent)
        elif agent.user.name != report.user:
            raise Refused("user: another than before on the same connection")
        self._told += more
        self.reports += 1
        agent.received += 1
        agent.last = now_ms()
        if agent.user is not None:
            agent.user.hear(agent, report, now)

    def disconnect(self, agent: Agent) -> None:
        """It has gone."""
        self._told -= len(agent.tasks)
        self.agents.pop(agent.id, None)
        self._silent.pop(agent.id, None)
        if agent.user is not None:
            agent.user.leave(agent)
            self.forget_idle(agent.user)

    def forget_idle(self, user: User) -> None:
        """Lets go of a user that has neither agents nor a configuration any more."""
        if user.idle:
            self.users.pop(user.name, None)

    def _tell(self, user: User) -> None:
        for listener in self.listeners:
            listener(user)
