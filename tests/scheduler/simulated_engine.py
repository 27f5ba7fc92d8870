"""A container engine in virtual time, with everything that goes wrong with a real one."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import NotReady, PermanentError
from microscaling.scheduler.containers.backend import (
    BackendUnavailable,
    Event,
    ListedContainer,
    State,
    Unanswered,
)
from microscaling.scheduler.containers.container import Operation, Work
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler

TIME_OUT_S = 10.0

Reply = Callable[[Operation, "Exception | None", str], None]
"""Called with an operation, how it failed, and the id that a create gave."""


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
    grace_s: float = 0.0
    """What a container takes to end when it is stopped, on top of `effect_s`."""
    disordered: bool = True
    """Events overtake each other; only some listeners look at this."""
    stops_paused: bool = True
    """As Docker does; Podman 4 refuses to stop what is paused."""
    load_s: float = 0.0
    """What a container takes from its start until it is ready for go."""
    broken: dict[str, str] = field(default_factory=dict)
    """Tasks whose containers `crash` within 3 s, or `at work` as soon as they are told go, cannot `start`, or
    cannot be `create`d."""


@dataclass(slots=True)
class Real:
    """A container as the engine has it."""

    id: str
    task: str
    nonce: str
    state: State
    created: float
    owners: list[object] = field(default_factory=list)
    """The agents that take it for one of theirs."""
    exit_code: int | None = None
    paused: bool = False
    frozen: bool = False
    """It was paused by an agent, so it takes no place."""
    up_since: float = 0.0
    told: bool = False
    """It was told go."""
    restarting: bool = False
    """It has ended, and the engine itself starts it again."""
    late: bool = False
    """It was created after whoever had asked for it had given that up."""
    stuck: str = ""
    """It cannot be ended: each try is refused (`refuses`), or not answered (`silent`)."""


class Listener(Protocol):
    """Somebody who looks at the engine's event stream."""

    def tell(self, event: Event) -> None: ...


class VirtualEngine:
    """Carries out what it is asked, late and unreliably. Time passes in `run`, and only there."""

    def __init__(self, rng: random.Random, faults: Faults) -> None:
        self.rng, self.faults = rng, faults
        self.now = 0.0
        self.real: dict[str, Real] = {}
        self.listeners: list[Listener] = []
        self.up = True
        self.healthy = False
        """Containers that were to die by themselves do not."""
        self.wrong: list[str] = []
        """What must not happen to a container of a task with `warm`."""
        self.memory: int | None = 100_000_000
        """Bytes that each container uses; None: the engine refuses to tell."""
        self.may_freeze: set[str] = set()
        """Tasks whose containers are frozen in the midst of their work."""
        self.stops: set[str] = set()
        """Tasks of local processes that stop themselves once they have loaded: a thaw is their go."""
        self._times_away = 0
        self._agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = itertools.count()

    def running(self, task: str = "") -> int:
        up = [r for r in self.real.values() if r.state is State.RUNNING and not r.frozen]
        return sum(1 for r in up if task in ("", r.task))

    def add(self, task: str, state: State, nonce: str = "") -> Real:
        """A container that is there already."""
        real = Real(f"c{next(self._numbers)}", task, nonce, state, self.now)
        self.real[real.id] = real
        return real

    def at(self, delay: float, what: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._agenda, (self.now + delay, next(self._numbers), what, arguments))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        agenda = self._agenda
        while agenda and agenda[0][0] <= end:
            self.now, _, what, arguments = heapq.heappop(agenda)
            what(*arguments)
            self.pump()
        self.now = end

    def pump(self) -> None:
        """Called after everything that happens."""

    def snapshot(self) -> list[ListedContainer]:
        """What a listing shows."""
        return [
            ListedContainer(
                r.id, r.task, r.state, r.created, r.nonce,
                exit_code=r.exit_code, paused=r.paused or self.waits_stopped(r), restarting=r.restarting,
            )
            for r in self.real.values()
        ]  # fmt: skip

    def waits_stopped(self, real: Real) -> bool:
        """Whether it has stopped itself, and waits for go."""
        loaded = real.state is State.RUNNING and self.now >= real.up_since + self.faults.load_s
        return real.task in self.stops and loaded and not real.told

    def pause(self, real: Real, paused: bool = True) -> None:
        """Somebody freezes it, or thaws it."""
        real.paused, real.frozen = paused, False
        self._tell("pause" if paused else "unpause", real)

    def kill(self, real: Real, code: int = 137) -> None:
        """It ends by itself, or by somebody else's hand."""
        if real.state is State.RUNNING:
            real.state, real.exit_code, real.paused, real.restarting = State.EXITED, code, False, False
            real.frozen = False
            self._tell("die", real)

    def crash(self, real: Real, code: int, back_after_s: float) -> None:
        """It ends by itself, and the engine starts it again by its policy."""
        if real.state is State.RUNNING and not real.restarting:
            real.restarting, real.exit_code = True, code
            self._tell("die", real, restarts=True)
            self.at(back_after_s, self._start_again, real)

    def _start_again(self, real: Real) -> None:
        if real.restarting and real.id in self.real:
            real.restarting = False
            self.started(real, None)
            self._tell("start", real)

    def remove(self, real: Real) -> None:
        """Somebody removes it, by force if it runs."""
        self.kill(real)
        if self.real.pop(real.id, None) is not None:
            self._tell("destroy", real)

    def forget_calls(self) -> None:
        """The agent has ended, and with it the calls and events that an engine would go on with."""
        self._agenda = [entry for entry in self._agenda if entry[2] not in (self._take_effect, self._deliver)]
        heapq.heapify(self._agenda)

    def go_away(self, killing: bool) -> None:
        """Nobody answers until `up` is set again; what was under way may be lost. `killing`: the
        containers end with it, as they do unless the engine was told to keep them."""
        self.up = False
        self._times_away += 1
        for real in list(self.real.values()) if killing else ():
            self.kill(real)

    def carry_out(self, operation: Operation, reply: Reply, by: object = None) -> None:
        """An operation that somebody asks for: sooner or later it is done, or not, and answered."""
        faults, rng = self.faults, self.rng
        if not self.up or rng.random() < faults.away:
            self.at(0.0, reply, operation, BackendUnavailable("connection refused"), "")
            return
        broken = faults.broken and faults.broken.get(operation.container.task.name)
        if rng.random() < faults.refused or broken == operation.work.value:
            self.at(rng.uniform(0, faults.reply_s), reply, operation, PermanentError("no such image"), "")
            return
        stops = operation.work in (Work.STOP, Work.REMOVE)
        if stops and self._is_stuck(operation, reply):
            return
        lost = rng.random() < faults.lost_reply
        delay = rng.uniform(0, 1.5 * TIME_OUT_S) if lost else rng.uniform(0.01, faults.effect_s)
        delay += faults.grace_s if operation.work is Work.STOP else 0.0
        never = lost and rng.random() < 0.3
        if not never:
            answer = None if lost else reply
            late = delay > TIME_OUT_S
            self.at(delay, self._take_effect, operation, answer, by, self._times_away, late)
        if lost:
            self.at(TIME_OUT_S, reply, operation, Unanswered("no answer within 10 s"), "")

    def _is_stuck(self, operation: Operation, reply: Reply) -> bool:
        """Whether this container cannot be ended; then that is the answer."""
        real = self.real.get(operation.container.id)
        if real is None or not real.stuck or real.state is not State.RUNNING:
            return False
        if real.stuck == "refuses":
            self.at(0.05, reply, operation, PermanentError("is paused"), "")
        else:
            self.at(TIME_OUT_S, reply, operation, Unanswered("no answer within 10 s"), "")
        return True

    def stick(self, real: Real) -> None:
        """From now on it cannot be ended."""
        real.stuck = self.rng.choice(["refuses", "silent"])

    def unstick(self) -> None:
        """All can be ended again."""
        for real in self.real.values():
            real.stuck = ""

    def _take_effect(
        self, operation: Operation, reply: Reply | None, by: object, away: int, late: bool
    ) -> None:
        if away != self._times_away:
            self._answer(operation, reply, None, "", away)
            return
        container, error = operation.container, None
        real = self.real.get(container.id)
        if operation.work is Work.CREATE:
            real = self.add(container.task.name, State.CREATED, container.nonce)
            real.owners.append(by)
            real.late = late
            self._tell("create", real)
        elif operation.work is Work.START:
            error = self._start(real, by)
        elif operation.work in (Work.FREEZE, Work.THAW):
            self._freeze(real, operation.work is Work.FREEZE, by)
        elif operation.work in (Work.READY, Work.GO):
            error = self._shake_hands(real, operation)
        elif operation.work is Work.WEIGH and self.memory is None:
            error = PermanentError("GET /containers/ID/stats is refused")
        elif operation.work in (Work.WEIGH, Work.LIST, Work.UNLIST):
            pass
        elif real is not None and operation.work is Work.STOP:
            if real.paused and not self.faults.stops_paused:
                error = PermanentError("container is running or paused, refusing to clean up")
            else:
                self.kill(real)
        elif real is not None:
            if real.task in self.stops and real.told and real.state is State.RUNNING and not real.paused:
                self.wrong.append(f"{self.now:.2f} s: {real.id} is killed at work")
            self.remove(real)
        if reply is not None:
            delay, found = self.rng.uniform(0, self.faults.reply_s), real.id if real else ""
            found = str(self.memory) if operation.work is Work.WEIGH else found
            self.at(delay, self._answer, operation, reply, error, found, away)

    def _answer(
        self, operation: Operation, reply: Reply | None, error: Exception | None, id: str, away: int
    ) -> None:
        if reply is not None:
            reply(
                operation, BackendUnavailable("connection reset") if away != self._times_away else error, id
            )

    def _start(self, real: Real | None, by: object) -> PermanentError | None:
        if real is None:
            return PermanentError("no such container")
        if real.state is not State.RUNNING:
            real.state, real.up_since = State.RUNNING, self.now
            self.started(real, by)
            self._tell("start", real)
            crashes = self.faults.broken.get(real.task) == "crash"
            if crashes or self.rng.random() < self.faults.dies:
                self.at(self.rng.uniform(0, 3) if crashes else self.rng.expovariate(0.2), self._die, real)
        return None

    def _shake_hands(self, real: Real | None, operation: Operation) -> Exception | None:
        work, warm = operation.work, operation.container.task.warm
        if real is None or real.state is not State.RUNNING:
            return None
        if work is Work.READY and real.task in self.stops and not self.waits_stopped(real):
            return NotReady("it is not stopped")
        if work is Work.READY and self.now < real.up_since + self.faults.load_s:
            return NotReady("it still loads")
        if work is Work.GO:
            if self.now < real.up_since + self.faults.load_s:
                self.wrong.append(f"{self.now:.2f} s: {real.id} is told go before it is ready")
            if warm is not None and warm.signal:
                self._tell("kill", real, signal=warm.signal)
            self._is_told(real)
        return None

    def _is_told(self, real: Real) -> None:
        real.told = True
        if self.faults.broken.get(real.task) == "at work":
            self.at(0.1, self.kill, real, 1)

    def _freeze(self, real: Real | None, frozen: bool, by: object) -> None:
        if real is None or real.state is not State.RUNNING or real.paused == frozen:
            return  # as if done: 409 and 404
        if frozen and real.told and real.task not in self.may_freeze:
            self.wrong.append(f"{self.now:.2f} s: {real.id} is frozen though it was told go")
        real.paused = real.frozen = frozen
        if not frozen:
            if real.task in self.stops and not real.told:
                self._is_told(real)
            self.started(real, by)
        self._tell("pause" if frozen else "unpause", real)

    def _die(self, real: Real) -> None:
        if not self.healthy:
            self.kill(real)

    def started(self, real: Real, by: object) -> None:
        """Called at every start, with who has asked for it: the only moment at which a cap can be broken."""

    def _tell(self, kind: str, real: Real, restarts: bool = False, signal: str = "") -> None:
        code = real.exit_code if kind == "die" else None
        event = Event(kind, real.id, real.task, real.nonce, code, restarts=restarts, signal=signal)
        for listener in self.listeners:
            listener.tell(event)


class SimulatedEngine(VirtualEngine):
    """An engine with the fleet that looks after it, and what there is of the agent around it."""

    def __init__(self, tasks: Tasks, rng: random.Random, faults: Faults) -> None:
        super().__init__(rng, faults)
        self.tasks = tasks
        self.most_running = 0
        self.excess: list[str] = []
        self.reconciler = ContainerReconciler(tasks)
        self.listing = Listing(self.reconciler)
        self.listeners.append(self)

    def pump(self) -> None:
        for operation in self.reconciler.take():
            if not self.reconciler.call_off(operation, self.now):
                self.carry_out(operation, self._done)

    def decide(self, demand: dict[str, int]) -> None:
        for name, count in demand.items():
            task = self.tasks.get_task(name)
            task.demand = task.demand if task.backing_off else count
        self.reconciler.acting = True
        self.tick()

    def tick(self) -> None:
        self.reconciler.reconcile(self.now)
        self.pump()

    def list(self) -> None:
        """A listing takes a while; what it shows is from when it was asked for."""
        self.at(self.rng.uniform(0, self.faults.reply_s), self._list, self.listing.ask(), self.snapshot())

    def tell(self, event: Event) -> None:
        if self.rng.random() < self.faults.lost_event:
            return
        for _ in range(1 + (self.rng.random() < self.faults.repeated_event)):
            self.at(self.rng.uniform(0, self.faults.event_s), self._deliver, event)

    def started(self, real: Real, by: object) -> None:
        running = self.running()
        self.most_running = max(self.most_running, running)
        if running > self.tasks.max_containers:
            self.excess.append(f"{self.now:.2f} s: {real.task} {real.id} makes it {running}")

    def _list(self, asked: int, shown: list[ListedContainer]) -> None:
        self.listing.apply(asked, shown, self.now)

    def _done(self, operation: Operation, error: Exception | None, id: str) -> None:
        self.reconciler.on_done(operation, error, self.now, id)

    def _deliver(self, event: Event) -> None:
        self.listing.heard(event.id, event.kind)
        self.reconciler.on_event(event, self.now)


def small_world(
    rng: random.Random, faults: Faults, cap: int = 8, names: tuple[str, ...] = ("a", "b", "c")
) -> SimulatedEngine:
    """Three tasks under one cap, on an engine with these faults."""
    tasks = Tasks(
        [Task(name, priority=i + 1, min_containers=1, max_containers=cap) for i, name in enumerate(names)],
        cap,
    )
    return SimulatedEngine(tasks, rng, faults)
