"""A container engine in virtual time, with everything that goes wrong with a real one."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.backend import EngineAway, Event, Seen, State
from microscaling.scheduler.container import Operation, Work
from microscaling.scheduler.fleet import Fleet
from microscaling.scheduler.listing import Listing

TIME_OUT_S = 10.0


@dataclass
class Faults:
    """Probabilities, per operation or event, and the longest delays in seconds."""

    lost_reply: float = 0.0
    refused: float = 0.0
    lost_event: float = 0.0
    repeated_event: float = 0.0
    dies: float = 0.0
    away: float = 0.0
    effect_s: float = 0.5
    reply_s: float = 0.2
    event_s: float = 0.3


@dataclass
class Real:
    """A container as the engine has it."""

    id: str
    task: str
    nonce: str
    state: State
    created: float


class SimulatedEngine:
    """Carries out what a fleet asks, late and unreliably, and counts what really runs."""

    def __init__(self, tasks: Tasks, rng: random.Random, faults: Faults) -> None:
        self.tasks, self.rng, self.faults = tasks, rng, faults
        self.now = 0.0
        self.real: dict[str, Real] = {}
        self.most_running = 0
        self.excess: list[str] = []
        self.allowed = tasks.max_containers
        self.fleet = Fleet(tasks)
        self.listing = Listing(self.fleet)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.foreign_touched: list[str] = []

    def running(self, task: str = "") -> int:
        return sum(1 for r in self.real.values() if r.state is State.RUNNING and task in ("", r.task))

    def add(self, task: str, state: State, nonce: str = "") -> Real:
        """A container that is there already."""
        real = Real(f"c{next(self._numbers)}", task, nonce, state, self.now)
        self.real[real.id] = real
        self.allowed = max(self.allowed, self.running())
        return real

    def at(self, delay: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + delay, next(self._numbers), what))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, what = heapq.heappop(self._agenda)
            what()
            self.pump()
        self.now = end

    def pump(self) -> None:
        for operation in self.fleet.take():
            self._submit(operation)

    def decide(self, demand: dict[str, int]) -> None:
        for name, count in demand.items():
            task = self.tasks.get_task(name)
            task.demand = task.demand if task.backing_off else count
        self.fleet.acting = True
        self.fleet.plan(self.now)
        self.pump()

    def tick(self) -> None:
        self.fleet.plan(self.now)
        self.pump()

    def list(self) -> None:
        """A listing takes a while; what it shows is from when it was asked for."""
        asked = self.listing.ask()
        shown = [Seen(r.id, r.task, r.state, r.created, r.nonce) for r in self.real.values()]
        self.at(self.rng.uniform(0, self.faults.reply_s), lambda: self.listing.apply(asked, shown, self.now))

    def kill(self, real: Real) -> None:
        """It ends by itself, or by somebody else's hand."""
        if real.state is State.RUNNING:
            real.state = State.EXITED
            self._tell("die", real)

    def _submit(self, operation: Operation) -> None:
        if self.fleet.call_off(operation, self.now):
            return
        faults, rng = self.faults, self.rng
        if rng.random() < faults.away:
            self._reply(operation, 0.0, EngineAway("connection refused"))
            return
        if rng.random() < faults.refused:
            self._reply(operation, rng.uniform(0, faults.reply_s), PermanentError("no such image"))
            return
        lost = rng.random() < faults.lost_reply
        delay = rng.uniform(0, 1.5 * TIME_OUT_S) if lost else rng.uniform(0.01, faults.effect_s)
        never = lost and rng.random() < 0.3
        if not never:
            self.at(delay, lambda: self._take_effect(operation, replies=not lost))
        if lost:
            self._reply(operation, TIME_OUT_S, TemporaryError("no answer within 10 s"))

    def _reply(self, operation: Operation, delay: float, error: Exception | None, id: str = "") -> None:
        self.at(delay, lambda: self.fleet.on_done(operation, error, self.now, id))

    def _take_effect(self, operation: Operation, replies: bool) -> None:
        container, error = operation.container, None
        real = self.real.get(container.id)
        if operation.work is Work.CREATE:
            real = self.add(container.task.name, State.CREATED, container.nonce)
            self._tell("create", real)
        elif operation.work is Work.START:
            error = self._start(real)
        elif real is not None and operation.work is Work.STOP:
            self.kill(real)
        elif real is not None:
            self.kill(real)
            del self.real[real.id]
            self._tell("destroy", real)
        if replies:
            self._reply(operation, self.rng.uniform(0, self.faults.reply_s), error, real.id if real else "")

    def _start(self, real: Real | None) -> PermanentError | None:
        if real is None:
            return PermanentError("no such container")
        if real.state is State.CREATED:
            real.state = State.RUNNING
            self._witness(real)
            self._tell("start", real)
            if self.rng.random() < self.faults.dies:
                self.at(self.rng.expovariate(0.2), lambda: self.kill(real))
        return None

    def _witness(self, started: Real) -> None:
        """Called at every start: the only moment at which a cap can be broken."""
        running = self.running()
        self.most_running = max(self.most_running, running)
        if running > self.tasks.max_containers:
            self.excess.append(f"{self.now:.2f} s: {started.task} {started.id} makes it {running}")

    def _tell(self, kind: str, real: Real) -> None:
        event = Event(kind, real.id, real.task, real.nonce, 137 if kind == "die" else None)
        if self.rng.random() < self.faults.lost_event:
            return
        for _ in range(1 + (self.rng.random() < self.faults.repeated_event)):
            self.at(self.rng.uniform(0, self.faults.event_s), lambda: self._deliver(event))

    def _deliver(self, event: Event) -> None:
        self.listing.heard(event.id, event.kind)
        self.fleet.on_event(event, self.now)


def small_world(
    rng: random.Random, faults: Faults, cap: int = 8, names: tuple[str, ...] = ("a", "b", "c")
) -> SimulatedEngine:
    """Three tasks under one cap, on an engine with these faults."""
    tasks = Tasks(
        [Task(name, priority=i + 1, min_containers=1, max_containers=cap) for i, name in enumerate(names)],
        cap,
    )
    return SimulatedEngine(tasks, rng, faults)
