"""Users, their connected agents, the reports of these, and the demand for them. Nothing here does I/O."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from microscaling.errors import MetricError
from microscaling.metric.push import PushMetric
from microscaling.server.domain import modes
from microscaling.server.domain.journal import Decision, Journal, now_ms
from microscaling.server.domain.modes import Demand, Queues
from microscaling.server.domain.pushes import Pushes
from microscaling.server.domain.reports import AgentInfo, Report, TaskReport
from microscaling.server.domain.user_config import Plan
from microscaling.server.limits import (
    MAX_AGENTS,
    MAX_NAME,
    MAX_SILENT,
    MAX_TOLD,
    MAX_USERS,
    SILENT_S,
    Full,
    Refused,
)
from microscaling.utils.text import few

log = logging.getLogger("mssserver")

MAX_LOOKED_AT = 32
"""Silent connections that are checked, the oldest first, before a newcomer is refused."""
# A limit, because each check costs a system call.


class Line(Protocol):
    """The connection of an agent."""

    def silent_s(self, now: float) -> float:
        """Returns the seconds since the last data, 0 if there are unread data."""

    def evict(self) -> None:
        """Closes it, to make room."""

    def ask(self, text: str) -> None:
        """Sends a question, if the agent reads; never blocks."""


@dataclass(slots=True, eq=False)
class Agent:
    """One connection of an agent. `offer` queues the demand for sending, in place of an older one."""

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
    """True once one of its reports had a metric: from then on a missing one is a 0 (of a Go agent)."""
    queues: Queues | None = None
    wanted: Demand = field(default_factory=dict)
    """The demand for it; empty: none."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a setting."""

    by: str
    """`page`, `token` (a program with the server's token) or `program`."""
    address: str
    at: int
    """Unix milliseconds."""

    def __str__(self) -> str:
        return f"the page at {self.address}" if self.by == "page" else f"a program at {self.address}"


@dataclass(slots=True)
class UserSettings:
    """The settings of a user by a person, which the store keeps."""

    version: int = 0
    plan: Plan | None = None
    mode: str = modes.OFF
    paused: bool = False
    sliders: dict[str, int] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    """The last change of each: `config`, `mode`, `paused` and `demand`."""


class User:
    """One user: its settings (`wishes`), its agents, and the last decisions."""

    def __init__(self, name: str, changed: Callable[[User], None], journal: Journal, pushes: Pushes) -> None:
        self.name = name
        self.pushes = pushes
        self.wishes = UserSettings()
        self.agents: dict[int, Agent] = {}
        self.decisions = journal.of(name)
        self.walk: Demand = {}
        """The present demand of the mode `random`."""
        self._held: set[str] = set()
        """Tasks without a reading that were logged since these settings took effect."""
        self._changed = changed
        self._journal = journal

    @property
    def idle(self) -> bool:
        """Whether it has neither agents nor settings, so that it can be forgotten."""
        return not self.agents and self.wishes.version == 0

    def set(self, wishes: UserSettings, by: str = "") -> None:
        """Puts new settings into effect, and sends the demand that follows from them. `by`: the origin of the
        change, for people."""
        old, self.wishes = self.wishes, wishes
        if old.plan is not wishes.plan or old.mode != wishes.mode or old.paused != wishes.paused:
            for agent in self.agents.values():
                agent.queues = None  # a new calculation begins with the next report
                if old.plan is not wishes.plan:
                    agent.wanted = {}  # of tasks that may not exist any more
            self._held = set()
        if old.plan is not wishes.plan or wishes.mode != modes.RANDOM:
            self.walk = {}
        if wishes.mode == modes.RANDOM and not self.walk:
            self.step(random.Random())  # nosec B311  # moves a demonstration
        else:
            self.decide(f"set by hand, by {by}" if by else "set by hand")

    def step(self, chance: random.Random) -> None:
        """Makes one random step in the mode `random`."""
        wishes = self.wishes
        if wishes.mode == modes.RANDOM and wishes.plan and not wishes.paused:
            self.walk = modes.random_step(wishes.plan, self.walk, chance)
            self.decide("by chance")

    def decide(self, reason: str) -> None:
        """Sends the demand of the modes `manual` and `random` to every agent."""
        self._changed(self)
        demand = self._common()
        if demand is None:
            return
        for agent in self.agents.values():
            self._want(agent, demand, reason)

    def hear(self, agent: Agent, report: Report, now: float) -> None:
        """Takes in one report of an agent; `now` in seconds of a monotonic clock."""
        if report.about is None:
            _read_as_the_go_agents(agent, report)
        known, agent.tasks = agent.tasks, report.tasks
        agent.about = report.about
        if self.wishes.plan is not None and not self.decides_itself(agent):
            _take_pushed(self.wishes.plan, report, self.pushes.of(self.name))
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
        """Adds an agent after its first report, and sends it the demand at once."""
        agent.user = self
        self.agents[agent.id] = agent
        demand = self._common()
        if demand is not None:
            agent.wanted = demand
            agent.offer(demand)
        self._changed(self)

    def leave(self, agent: Agent) -> None:
        """Removes an agent whose connection has ended."""
        self.agents.pop(agent.id, None)
        self._changed(self)

    def may_have(self, task: str) -> bool:
        """Whether there is a task of that name. Without a configuration and agents there may be any: they are
        elsewhere, or come later."""
        known = {model.name for model in self.wishes.plan.models} if self.wishes.plan else set[str]()
        known.update(*(agent.tasks for agent in self.agents.values()))
        return task in known if known else len(task) <= MAX_NAME

    def find_agent(self, text: str) -> Agent | None:
        """Returns the connected agent with that name, else with that number; of several, the newest."""
        if not text:
            return None
        # By its name first: the number is another one after each reconnect, and a link has to outlast that.
        newest = list(reversed(self.agents.values()))
        named = (agent for agent in newest if agent.about and agent.about.name == text)
        return next(named, None) or next((agent for agent in newest if str(agent.id) == text), None)

    def note(self, agent: Agent | None, app: str, before: int, after: int, reason: str) -> None:
        """Keeps one change of demand for the page."""
        name = agent.about.name if agent and agent.about else ""
        number = agent.id if agent else None
        decision = Decision(self._journal.number(), now_ms(), number, name, app, before, after, reason)
        self.decisions.append(decision)
        self._journal.to_save(self.name, decision)

    def decides_itself(self, agent: Agent) -> bool:
        """Whether the agent reports an engine that ignores the server's demand."""
        return agent.about is not None and agent.about.engine not in ("", "SERVER")

    def _common(self) -> Demand | None:
        """Returns the demand that is the same for every agent; None: there is none, or each has its own."""
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
                # The first demand after a connect is no change.
                if before is not None and before != after and app in agent.tasks:
                    self.note(agent, app, before, after, reason)
        agent.wanted = demand
        agent.offer(demand)

    def _note_own(self, agent: Agent, known: Mapping[str, TaskReport]) -> None:
        """Notes the agent's own decisions, as far as its reports show them."""
        for app, told in agent.tasks.items():
            before = known.get(app)
            if before is None:
                continue
            # The Go agent reports no demand, so its requested containers stand for that.
            was = before.requested if before.demand is None else before.demand
            now = told.requested if told.demand is None else told.demand
            if was != now:
                self.note(agent, app, was, now, told.reason)

    def _say_held(self, held: Mapping[str, str]) -> None:
        """Logs each held task once. Such a task is never scaled by its queue, so a person should know."""
        if held and (new := held.keys() - self._held):
            self._held |= new
            app = min(new)
            log.warning("%s of site %s held: %s", few(sorted(new)), self.name, held[app])


def _read_as_the_go_agents(agent: Agent, report: Report) -> None:
    """Sets the metrics that a report without details leaves out: to 0, or to no reading.

    Until the first metric of a connection there is no reading, so a task that starts with an empty queue
    is held until its first item; from then on a missing metric is 0.
    """
    # The Go agent leaves out a metric of 0, and with MSS_DEMAND_ENGINE=SERVER it measures nothing. As it
    # measures all of its tasks or none, one metric shows that it measures.
    told = report.tasks.values()
    agent.measures = agent.measures or any(told_of.metric is not None for told_of in told)
    if agent.measures:
        for told_of in told:
            told_of.metric = told_of.metric or 0


def _take_pushed(plan: Plan, report: Report, pushed: Mapping[str, Any]) -> None:
    """Puts pushed measurements in the place of the agent's readings: they are newer, and some agents measure
    nothing."""
    for model in plan.models:
        told = report.tasks.get(model.name)
        if told is None or not isinstance(model.metric, PushMetric):
            continue
        # The agent's own trouble to read them is none of the server's.
        told.metric, told.measured, told.held, told.fallback = None, None, "", ""
        try:
            found = model.metric.read(pushed)
            told.metric, told.measured = found.number(model.metric.with_running), found
        except MetricError as error:
            told.held = str(error)


class Users:
    """All users, all agents, and the listeners for changes."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.agents: dict[int, Agent] = {}
        self.reports = 0
        self._told = 0
        self.listeners: list[Callable[[User], None]] = []
        self._silent: dict[int, Agent] = {}
        self.journal = Journal()
        self.pushes = Pushes()
        self._agent_ids = iter(range(1, 2**62))

    def get(self, name: str) -> User:
        """Returns the user of that name; a new one, which is not kept, if it is unknown."""
        return self.users.get(name) or User(name, self._tell, self.journal, self.pushes)

    def keep(self, user: User) -> User:
        """Keeps a user that `get` returned. Raises Refused if there are too many."""
        if user.name not in self.users and len(self.users) >= MAX_USERS:
            raise Refused(f"more than {MAX_USERS} sites")
        return self.users.setdefault(user.name, user)

    def connect(self, offer: Callable[[Demand], None], line: Line) -> Agent:
        """Adds an agent, whose first report will name its user. Raises Refused if there are too many agents,
        Full if a place may become free at any moment."""
        if len(self.agents) >= MAX_AGENTS:
            raise Refused(f"more than {MAX_AGENTS} agents")
        if len(self._silent) >= MAX_SILENT and not self._evict_one():
            raise Full(f"more than {MAX_SILENT} agents without a first report")
        agent = Agent(next(self._agent_ids), offer, line)
        self.agents[agent.id] = self._silent[agent.id] = agent
        return agent

    def _evict_one(self) -> bool:
        """Closes the oldest connection that has been silent for SILENT_S. Returns whether there was one."""
        now = time.monotonic()
        for number, agent in enumerate(self._silent.values()):
            if number >= MAX_LOOKED_AT:
                return False
            # An agent whose report the server has not read yet is not silent.
            if agent.line.silent_s(now) >= SILENT_S:
                del self._silent[agent.id]
                agent.line.evict()
                return True
        return False

    def hear(self, agent: Agent, report: Report, now: float) -> None:
        """Takes in one report of an agent. Raises Refused if it has too many tasks, or another user."""
        more = len(report.tasks) - len(agent.tasks)
        if self._told + more > MAX_TOLD:
            raise Refused(f"all agents together report more than {MAX_TOLD} tasks")
        if agent.user is None:
            user = self.keep(self.get(report.user))
            self._silent.pop(agent.id, None)
            user.welcome(agent)
        elif agent.user.name != report.user:
            raise Refused("user: differs from that of earlier reports on the same connection")
        self._told += more
        self.reports += 1
        agent.received += 1
        agent.last = now_ms()
        if agent.user is not None:
            agent.user.hear(agent, report, now)

    def disconnect(self, agent: Agent) -> None:
        """Removes an agent whose connection has ended."""
        self._told -= len(agent.tasks)
        self.agents.pop(agent.id, None)
        self._silent.pop(agent.id, None)
        if agent.user is not None:
            agent.user.leave(agent)
            self.forget_idle(agent.user)

    def forget_idle(self, user: User) -> None:
        """Forgets a user without agents and settings, to make room for others."""
        if user.idle and self.users.pop(user.name, None) is not None:
            self.journal.put_away(user.name, user.decisions)

    def _tell(self, user: User) -> None:
        for listener in self.listeners:
            listener(user)
