"""Whose agents are connected, what they told, and what is wanted of them. Nothing here does I/O."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from microscaling.server import modes
from microscaling.server.limits import MOST_AGENTS, MOST_SILENT, MOST_TOLD, MOST_USERS, Refused
from microscaling.server.modes import Demand, Queues
from microscaling.server.plan import Plan
from microscaling.server.wire import About, Report, Told

DECISIONS_KEPT = 100


def now_ms() -> int:
    """Unix milliseconds, for people to read; never for intervals."""
    return int(time.time() * 1000)


@dataclass(slots=True, eq=False)
class Agent:
    """One connection of an agent. `offer` has it send what is wanted, as soon as it can."""

    id: int
    offer: Callable[[Demand], None]
    evict: Callable[[], None]
    since: int = field(default_factory=now_ms)
    last: int = 0
    received: int = 0
    user: User | None = None
    tasks: dict[str, Told] = field(default_factory=dict)
    about: About | None = None
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
class Wishes:
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
        self.wishes = Wishes()
        self.agents: dict[int, Agent] = {}
        self.decisions: deque[Decision] = deque(maxlen=DECISIONS_KEPT)
        self.walk: Demand = {}
        """Where chance has got to."""
        self._changed = changed
        self._ids = ids

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if it were forgotten."""
        return not self.agents and self.wishes.version == 0

    def set(self, wishes: Wishes) -> None:
        """Puts new wishes into effect."""
        old, self.wishes = self.wishes, wishes
        if old.plan is not wishes.plan or old.mode != wishes.mode or old.paused != wishes.paused:
            for agent in self.agents.values():
                agent.queues = None
                if old.plan is not wishes.plan:
                    agent.wanted = {}
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
        known, agent.tasks = agent.tasks, report.tasks
        agent.about = report.about
        self._changed(self)
        wishes = self.wishes
        if wishes.plan is None or wishes.mode == modes.OFF or wishes.paused or self.decides_itself(agent):
            self._note_own(agent, known)
        elif wishes.mode == modes.QUEUE:
            if agent.queues is None:
                agent.queues = Queues(wishes.plan)
            for app, before, after, reason in agent.queues.hear(report.tasks, now):
                self.note(agent, app, before, after, reason)
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

    def _note_own(self, agent: Agent, known: Mapping[str, Told]) -> None:
        """The agent's own decisions, as far as they can be seen."""
        for app, told in agent.tasks.items():
            before = known.get(app)
            if before is None:
                continue
            was = before.requested if before.demand is None else before.demand
            now = told.requested if told.demand is None else told.demand
            if was != now:
                self.note(agent, app, was, now, told.reason)


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
        if user.name not in self.users and len(self.users) >= MOST_USERS:
            raise Refused(f"more than {MOST_USERS} users")
        return self.users.setdefault(user.name, user)

    def connect(self, offer: Callable[[Demand], None], evict: Callable[[], None]) -> Agent:
        """A new agent that has not said yet whose it is. Raises Refused if there are too many."""
        if len(self.agents) >= MOST_AGENTS:
            raise Refused(f"more than {MOST_AGENTS} agents")
        if len(self._silent) >= MOST_SILENT:
            self._silent.pop(next(iter(self._silent))).evict()
        agent = Agent(next(self._agent_ids), offer, evict)
        self.agents[agent.id] = self._silent[agent.id] = agent
        return agent

    def hear(self, agent: Agent, report: Report, now: float) -> None:
        """An agent has reported. Raises Refused if there is no room for what it tells."""
        more = len(report.tasks) - len(agent.tasks)
        if self._told + more > MOST_TOLD:
            raise Refused(f"all agents together tell of more than {MOST_TOLD} tasks")
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
