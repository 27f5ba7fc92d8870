"""A world for an agent, drawn from a seed: tasks, queues, an engine, and how it all should be."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.donors import minimum
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.containers.container import Phase
from microscaling.settings import Settings
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.scheduler.invariants import Invariants
from tests.scheduler.simulated_engine import TIME_OUT_S, Faults, Real, VirtualEngine
from tests.scheduler.virtual_agent import BEAT_S, VirtualAgent
from tests.scheduler.virtual_sources import Length, Queue, SourceState, VirtualSource

DEFAULTS = Settings.from_env({})


@dataclass(frozen=True)
class Plan:
    """What the configuration says of one task."""

    name: str
    kind: str
    priority: int
    least: int
    most: int
    delta: int
    target: int
    source: int
    scalable: bool
    window_s: float


def draw_plans(rng: random.Random, cap: int) -> list[Plan]:
    """Some tasks; a third of these worlds have minimums that exceed the cap, or nearly."""
    generous = rng.random() < 0.35
    plans = []
    for number in range(rng.randint(1, 8)):
        least = rng.randint(0, 4) if generous else rng.choice([0, 0, 1, 1, 2])
        most = rng.choice([least, least + rng.randint(0, 4), max(cap, least), max(cap, least)])
        delta = rng.choice([max(0, most - least)] * 3 + [1, 2])
        plans.append(
            Plan(
                f"t{number}",
                rng.choice(["queue", "queue", "simple", "remainder"]),
                rng.randint(1, rng.choice([2, 8])),
                least,
                most,
                delta,
                rng.choice([0, 1, 10, 50, 50, 500]),
                rng.randrange(3),
                rng.random() < 0.95,
                rng.choice([0.0] * 6 + [3.0, 10.0]),
            )
        )
    return plans


class World(VirtualEngine):
    """An engine, the agent under test, at times a second one, and the queues they look at."""

    def __init__(self, seed: int) -> None:
        super().__init__(random.Random(seed), Faults())
        rng = self.rng
        self.seed = seed
        self.cap = rng.choice([0, 1, 2] + [rng.randint(3, 24) for _ in range(9)])
        self.plans = draw_plans(rng, self.cap)
        self.server = rng.random() < 0.2
        self.queues = {p.name: Queue(p.target) for p in self.plans if p.kind != "remainder"}
        self.targets = {p.name: p.target for p in self.plans}
        self.sources: dict[int, SourceState] = {}
        for plan in self.plans:
            if plan.kind != "remainder":
                state = self.sources.setdefault(plan.source, SourceState([]))
                state.names.append(plan.name)
                state.queues[plan.name] = self.queues[plan.name]
        self.wants: dict[str, int] = {}
        self.unmanaged: list[Real] = []
        self.invariants = Invariants(self)
        self.beats = 0
        self.calm_from = 0.0
        for number in range(rng.choice([0, 0, rng.randint(0, self.cap + 3)])):
            state = rng.choice([State.RUNNING] * 4 + [State.CREATED, State.EXITED])
            self.add(rng.choice(self.plans).name, state, rng.choice(["", f"earlier-{number}"]))
        self.agent = self.new_agent()
        self.second: VirtualAgent | None = None
        self.seconds: list[VirtualAgent] = []

    def started(self, real: Real, by: object) -> None:
        self.invariants.started(real, by)

    # Agents

    def new_agent(self) -> VirtualAgent:
        """One that has just been started, with a configuration of its own that says the same."""
        own = {n: VirtualSource(state, n, self.clock, self.rng) for n, state in self.sources.items()}
        tasks = Tasks([_task(plan, own) for plan in self.plans], self.cap)
        agent = VirtualAgent(self, tasks, self.invariants, self.server)
        if self.wants:
            self._tell_wants(agent)
        return agent

    def clock(self) -> float:
        return self.now

    def replace_agent(self, how: str) -> None:
        """The agent ends, in one of three ways, and another one is started some time later."""
        self.invariants.note("agent", how)
        old = self.agent
        if how == "kill":
            old.end()
            self._next_agent(old)
            return
        self.end_agent(old, how)
        self._when_ended(old)

    def end_agent(self, agent: VirtualAgent, how: str) -> None:
        if how == "kill" or not agent.adopted:
            agent.end()
        elif not agent.asked:
            agent.ask_to_end(how)

    def _when_ended(self, old: VirtualAgent) -> None:
        if old.alive:
            self.at(0.25, self._when_ended, old)
        else:
            self._next_agent(old)

    def _next_agent(self, old: VirtualAgent) -> None:
        self.at(self.rng.choice([0.0, self.rng.random(), 10 * self.rng.random()]), self._start_agent, old)

    def _start_agent(self, old: VirtualAgent) -> None:
        if self.agent is old:
            self.invariants.forget(old)
            self.agent = self.new_agent()

    # Beats

    def beat(self) -> None:
        """Half a second in which nothing new befalls anybody."""
        for name, queue in self.queues.items():
            queue.move(self.rng, self.running(name) if queue.mode == "work" else 0)
        decisions = self.agent.beats
        agent = self.agent
        self.run(BEAT_S)
        if agent.alive and agent.adopted:
            self.beats += agent.beats - decisions
            if not agent.ending:
                self.invariants.check_agent(agent)

    def _tell_wants(self, agent: VirtualAgent) -> None:
        tasks = [{"app": name, "demandCount": count} for name, count in self.wants.items()]
        agent.hear_server(json.dumps({"demand": {"tasks": tasks}}).encode())

    # What befalls them

    def something_else(self) -> None:
        """One thing in the world changes that is no fault: a queue, or the server's mind."""
        rng = self.rng
        if self.server:
            for plan in rng.sample(self.plans, rng.randint(1, len(self.plans))):
                self.wants[plan.name] = rng.choice([0, 1, rng.randint(0, self.cap + 2), plan.most])
            self._tell_wants(self.agent)
        elif self.queues:
            name = rng.choice(list(self.queues))
            self.queues[name].change(rng, self.targets[name])

    def rest(self) -> None:
        """From now on no queue moves, and the server has said its last word."""
        self.something_else()
        for name, queue in self.queues.items():
            queue.rest(self.rng, self.targets[name])

    def all_is_well(self) -> None:
        """The end of every fault there is; what people would have to clear up is cleared up."""
        self.faults = Faults()
        self.unstick()
        self.up = self.healthy = True
        self.calm_from = max(self.now + 1.5 * TIME_OUT_S, self.agent.frozen_until)
        for state in self.sources.values():
            state.mode = ""
        while self.unmanaged:
            self.remove(self.unmanaged.pop())

    def clear_up(self) -> None:
        """Somebody removes what the agent says is in its way, and what a second one has left."""
        for real in list(self.real.values()):
            theirs = any(owner in self.seconds for owner in real.owners)
            foreign = self.agent.alive and real.id in self.agent.reconciler.unmanaged.foreign
            if foreign or (theirs and self.agent not in real.owners):
                self.remove(real)

    # How it should be

    def entitled(self, name: str) -> bool:
        """Whether the cap has room for this task's minimum beside all that come before it."""
        tasks = self.agent.tasks.tasks
        task = self.agent.tasks.get_task(name)
        fixed = sum(t.demand for t in tasks if not t.is_scalable)
        before = sum(minimum(t) for t in tasks if t.is_scalable and t.priority <= task.priority)
        return task.is_scalable and fixed + before <= self.agent.tasks.places()

    def below_minimum(self) -> list[str]:
        """Tasks that run fewer containers than they are entitled to."""
        tasks = self.agent.tasks.tasks
        works = {t.name: self.running(t.name) - self.stuck(t.name) for t in tasks}
        return [t.name for t in tasks if works[t.name] < minimum(t) and self.entitled(t.name)]

    def stuck(self, name: str) -> int:
        """How many of this task's containers run only because they cannot be ended."""
        there = self.agent.reconciler.containers[name]
        real = [self.real.get(c.id) for c in there if c.phase is Phase.STOPPING]
        return sum(1 for r in real if r is not None and r.stuck)

    def unsettled(self) -> str:
        """Why this is not how it should be in the end; empty: it is."""
        agent = self.agent
        if not (agent.alive and agent.adopted and agent.decided):
            return "there is no agent"
        if self.now < self.calm_from:
            return "what was under way in the storm is not over yet"
        tasks = agent.tasks.tasks
        for task in tasks:
            works = self.running(task.name) - self.stuck(task.name)
            counts = (task.demand, task.requested, task.running - task.stopping, works)
            if len(set(counts)) > 1 or task.backing_off or task.held:
                return f"{task.name}: demand, requested, running, really running: {counts} {task.held}"
        if len(self.real) != self.running():
            return "something is left that does not run"
        if agent.tasks.hold:
            return agent.tasks.hold
        if below := self.below_minimum():
            return f"below their minimum: {below}"
        return self._wrong_server() if self.server else self._wrong_share()

    def _wrong_server(self) -> str:
        tasks = self.agent.tasks.tasks
        wants = {t.name: self.wants.get(t.name, t.demand) for t in tasks}
        for task in tasks:
            if task.is_scalable:
                wants[task.name] = max(minimum(task), wants[task.name])
        places = self.agent.tasks.places()
        if sum(wants.values()) > places:
            return "" if sum(t.demand for t in tasks) == places else "the cap is not used up"
        wrong = [t.name for t in tasks if t.demand != wants[t.name]]
        return f"not as the server wants: {wrong} of {wants}" if wrong else ""

    def _wrong_share(self) -> str:
        """The cap is used up, or nobody wants more; and nobody important is short while others have."""
        tasks = [t for t in self.agent.tasks.tasks if t.is_scalable]
        free = self.agent.tasks.places() - sum(t.demand for t in self.agent.tasks.tasks)
        for task in tasks:
            if not self._wants_more(task):
                continue
            if free > 0:
                return f"{task.name} wants more, and {free} are free"
            lower = [t.name for t in tasks if t.priority > task.priority and t.demand > minimum(t)]
            if lower and not task.is_remainder():
                return f"{task.name} wants more, and {lower} have"
        spare = [t.name for t in tasks if self._wants_fewer(t)]
        return f"{spare} have more than they need" if spare else ""

    def _wants_more(self, task: Task) -> bool:
        if task.demand >= task.max_containers or task.max_delta <= 0:
            return False
        return task.ideal_containers > task.demand and not task.target.meeting(task.metric.current)

    def _wants_fewer(self, task: Task) -> bool:
        if task.demand <= minimum(task) or task.max_delta <= 0:
            return False
        if not (task.is_remainder() or task.metric.current):
            return True  # an empty queue keeps nothing above the minimum for longer than its idle time
        return task.ideal_containers < task.demand and task.target.exceeding(task.metric.current)


def _task(plan: Plan, sources: dict[int, VirtualSource]) -> Task:
    task = Task(
        plan.name,
        priority=plan.priority,
        min_containers=plan.least,
        max_containers=plan.most,
        max_delta=plan.delta,
        is_scalable=plan.scalable,
        scale_down_window_s=plan.window_s,
    )
    if plan.kind == "remainder":
        task.target = RemainderTarget(plan.most)
        return task
    task.metric = Length(plan.name, sources[plan.source])
    if plan.kind == "queue":
        task.target = QueueLengthTarget(plan.target, DEFAULTS)
    else:
        task.target = SimpleQueueLengthTarget(plan.target)
    return task
