"""What must hold at every instant, whatever happens to an agent; judged from outside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from microscaling.demand.reason import TRY_GAVE
from microscaling.demand.task import Task
from microscaling.engine.donors import minimum
from microscaling.engine.guard import counted
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.containers.container import Operation, Phase, Work
from tests.scheduler.simulated_engine import Real, VirtualEngine
from tests.scheduler.virtual_agent import VirtualAgent

GROWS_TO = 500
"""Entries that nothing accounts for, in any list or dict of an agent: what has gone is remembered for
some seconds, and in a storm that is a lot."""
RESTS_AT = 4
"""The same when nothing has happened for long."""

ALARM_S = 25.0
"""What is created and never started looks like a second agent for no longer."""


class Broken(AssertionError):
    """An invariant does not hold; the first words say which."""


@dataclass(slots=True)
class Before:
    """A task as a decision finds it."""

    demand: int
    counted: int
    fresh: bool


class Book:
    """What is known of one agent."""

    def __init__(self) -> None:
        self.demand: dict[str, int] = {}
        self.under_way: dict[str, Operation] = {}
        self.foreign: set[str] = set()
        """Running containers of somebody else that it has been told of."""
        self.tombstones: set[str] = set()
        """Containers that it has been told are no more."""
        self.created_late: dict[str, float] = {}
        """Containers that an agent had asked for that was killed, and when this one took note."""
        self.kept: set[str] = set()
        """Containers that ran and were wanted when it was told to leave."""


class Invariants:
    """Watches every agent of a world, and raises `Broken` at the first thing that must not be."""

    def __init__(self, engine: VirtualEngine) -> None:
        self.engine = engine
        self.books: dict[VirtualAgent, Book] = {}
        self.contested = False
        """There has been a second agent in this storm."""
        self.journal: deque[tuple[Any, ...]] = deque(maxlen=400)
        self.figures = {
            "operations": 0,
            "starts": 0,
            "decisions": 0,
            "changes": 0,
            "scaled down": 0,
            "faults": 0,
        }

    def failed(self, what: str, *details: object) -> None:
        raise Broken(what + ": " + " ".join(map(str, details)))

    def note(self, *what: Any) -> None:
        self.journal.append((self.engine.now, *what))

    def forget(self, agent: VirtualAgent) -> None:
        self.books.pop(agent, None)

    # The cap

    def started(self, real: Real, by: object) -> None:
        """Called at every start: the only moment at which a cap can be broken. What an agent has left
        under way when it was killed counts for the next one, but what another one does meanwhile is
        not the fault of either."""
        self.figures["starts"] += 1
        self.note("runs", real.task, real.id)
        for agent in real.owners:
            if not isinstance(agent, VirtualAgent) or not agent.alive or (self.contested and by is not agent):
                continue
            running = sum(
                1 for r in self.engine.real.values() if r.state is State.RUNNING and agent in r.owners
            )
            if running > agent.tasks.max_containers:
                self.failed(
                    "cap", f"{real.task} {real.id} makes it {running} of {agent.tasks.max_containers}"
                )

    # An agent

    def adopted(self, agent: VirtualAgent) -> None:
        book = self.books[agent] = Book()
        for container in agent.reconciler.all():
            real = self.engine.real.get(container.id)
            if real is not None and agent not in real.owners:
                real.owners.append(agent)
        for task in agent.tasks.tasks:
            if not task.demand == task.requested == task.running:
                self.failed("adoption", task.name, task.demand, task.requested, task.running)
        self._remember(agent, book)
        self.note("adopted", {t.name: t.running for t in agent.tasks.tasks})

    def handed_out(self, agent: VirtualAgent, operation: Operation) -> None:
        book, container = self.books.get(agent), operation.container
        if book is None or not (agent.decided or agent.ending):
            self.failed("adoption", operation.work.value, "before the first decision")
            return
        if container.nonce in book.under_way:
            self.failed("one at a time", operation.work.value, container.short_id, "is busy")
        book.under_way[container.nonce] = operation
        if book.foreign and not agent.ending:
            self.failed("second agent", operation.work.value, "though it is told of", book.foreign)
        if operation.work is Work.STOP and not agent.ending:
            newer = [
                c for c in agent.reconciler.all() if c.task is container.task and c.order > container.order
            ]
            if not container.failures and any(c.wanted and c.phase is Phase.CREATING for c in newer):
                self.failed("shaken", container.id, "is stopped, and a newer one created")
        if agent.ending == "leave":
            if operation.work in (Work.CREATE, Work.START):
                self.failed("leave", operation.work.value, container.task.name)
            real = self.engine.real.get(container.id)
            if container.id in book.kept and real is not None and real.state is State.RUNNING:
                self.failed("leave", operation.work.value, container.task.name, "which ran")
        if agent.ending == "drain" and operation.work in (Work.CREATE, Work.START):
            self.failed("drain", operation.work.value, container.task.name)

    def sent(self, agent: VirtualAgent, operation: Operation) -> None:
        self.figures["operations"] += 1
        container = operation.container
        real = self.engine.real.get(container.id)
        if real is not None and agent not in real.owners:
            real.owners.append(agent)  # left by an agent that was killed, and taken over later
        self.note("asks", operation.work.value, container.task.name, container.id or container.order)

    def done(self, agent: VirtualAgent, operation: Operation, error: Exception | None) -> None:
        book = self.books.get(agent)
        if book is not None:
            book.under_way.pop(operation.container.nonce, None)
        if error is not None:
            self.note("failed", operation.work.value, operation.container.id, str(error))

    def heard(self, agent: VirtualAgent, event: Event) -> None:
        book = self.books.get(agent)
        if book is None:
            return
        if event.kind in ("die", "destroy"):
            book.foreign.discard(event.id)
            if event.kind == "destroy":
                book.tombstones.add(event.id)
            return
        real = self.engine.real.get(event.id)
        if event.kind != "start" or real is None or real.state is not State.RUNNING:
            return
        if agent not in real.owners:
            book.foreign.add(event.id)

    def listed(self, agent: VirtualAgent, seen: list[ListedContainer]) -> None:
        book = self.books.get(agent)
        if book is not None:
            book.foreign &= {s.id for s in seen}
            if back := book.tombstones & {c.id for c in agent.reconciler.all()}:
                self.failed("gone", back, "is believed to be there again")
        self.check_memory(agent, GROWS_TO)

    def check_memory(self, agent: VirtualAgent, grows_to: int) -> None:
        """An agent remembers nothing that is not there any more, but for so many things."""
        reconciler = agent.reconciler
        limit = grows_to + 2 * sum(1 for _ in reconciler.all()) + 2 * len(agent.tasks.tasks)
        for owner in (reconciler, agent.listing, reconciler.unmanaged):
            for name, value in vars(owner).items():
                if isinstance(value, (dict, list, set, deque)) and len(value) > limit:
                    self.failed("memory", type(owner).__name__, name, len(value))

    def leaves(self, agent: VirtualAgent) -> None:
        """Called before it is told to leave."""
        runs = (c for c in agent.reconciler.all() if c.phase is Phase.RUNNING)
        self.books[agent].kept = {c.id for c in runs if not c.unwanted}

    # A decision

    def decides(self, agent: VirtualAgent, decision: Callable[[], Any]) -> bool:
        self.figures["decisions"] += 1
        tasks, book = agent.tasks, self.books[agent]
        self._check_untouched(agent, book)
        before = self._before(agent)
        hold = tasks.hold
        changed = bool(decision())
        self._check_readings(agent)
        changes = {t: b for t, b in before.items() if t.demand != b.demand}
        if changes:
            self.figures["changes"] += len(changes)
            self.note("decides", {t.name: (b.demand, t.demand, str(t.reason)) for t, b in changes.items()})
            if hold:
                self.failed("second agent", "decided though held:", hold)
            self._check_changes(agent, before, changes)
        if not hold and agent.has_a_say:
            self._check_sum(agent)
        self._remember(agent, book)
        return changed

    def _check_readings(self, agent: VirtualAgent) -> None:
        """A task whose source has not just answered well is held."""
        for task in agent.tasks.tasks:
            if not task.held and not agent.fresh.get(task.name, True):
                self.failed("reading", task.name, "is not held, and was not measured just now")

    def _before(self, agent: VirtualAgent) -> dict[Task, Before]:
        return {t: Before(t.demand, counted(t), agent.fresh.get(t.name, True)) for t in agent.tasks.tasks}

    def _check_changes(
        self, agent: VirtualAgent, before: dict[Task, Before], changes: dict[Task, Before]
    ) -> None:
        for task, was in changes.items():
            if task.demand < 0:
                self.failed("bounds", task.name, "is to have", task.demand)
            if task.demand > was.demand:
                if agent.engine_thread is None and task.demand > task.max_containers:
                    self.failed("bounds", task.name, task.demand, "is above its maximum")
                continue
            self.figures["scaled down"] += 1
            if agent.engine_thread is None and not self._has_cause(agent, task, was, before):
                self.failed("scale-down", task.name, f"{was.demand} -> {task.demand}", f"({task.reason})")

    def _has_cause(self, agent: VirtualAgent, task: Task, was: Before, before: dict[Task, Before]) -> bool:
        """Whether a task may be made smaller: for what itself or a more important one reads now."""
        target, current = task.target, task.metric.current
        if was.fresh and (was.demand > task.max_containers or target.exceeding(current)):
            return True
        if sum(b.counted for b in before.values()) > agent.tasks.places():
            return True
        needy = min((t.priority for t, b in before.items() if b.demand < minimum(t)), default=float("inf"))
        for other, its in before.items():
            if other is task:
                continue
            below = its.demand < minimum(other)
            made_to_give = needy < other.priority  # and may be made up for it in the same decision
            needs = below or made_to_give or _is_short(other, its)
            if its.fresh and other.priority < task.priority and needs:
                return True
            if was.fresh and below:
                return True
        return False

    def _check_sum(self, agent: VirtualAgent) -> None:
        tasks = agent.tasks
        total = sum(map(counted, tasks.tasks))
        if total > tasks.places() and any(t.demand for t in tasks.tasks if not t.backing_off):
            self.failed("sum of demand", total, "of", tasks.places(), tasks.occupied_by)

    def _check_untouched(self, agent: VirtualAgent, book: Book) -> None:
        """Between two decisions demand is changed by back-off alone, and by what soaks up the rest giving a
        place for a try."""
        for task in agent.tasks.tasks:
            if task.demand != book.demand[task.name] and task.name not in agent.backed_off:
                gave = task.reason is not None and task.reason.rule == TRY_GAVE
                if gave and task.reason.other in agent.backed_off and task.demand < book.demand[task.name]:
                    continue
                self.failed("demand", task.name, book.demand[task.name], "->", task.demand, "by nobody")

    def _remember(self, agent: VirtualAgent, book: Book) -> None:
        book.demand = {t.name: t.demand for t in agent.tasks.tasks}
        agent.backed_off = {t.name for t in agent.tasks.tasks if t.backing_off}

    # Once a beat

    def _check_alarm(self, agent: VirtualAgent) -> None:
        """There is no second agent. What one that was killed has created very late may look like one,
        but not for long."""
        since = self.books[agent].created_late
        for id in agent.reconciler.unmanaged.foreign:
            real, now = self.engine.real.get(id), self.engine.now
            if real is not None and real.state is State.CREATED:
                since.setdefault(id, now)
            late = since.get(id)
            if late is None or now - max(late, agent.frozen_until) > ALARM_S:
                self.failed("false alarm", agent.tasks.hold, id)

    def check_agent(self, agent: VirtualAgent) -> None:
        """What a living agent says that it has asked for is what it knows of."""
        if agent.tasks.hold and not self.contested:
            self._check_alarm(agent)
        if sum(1 for c in agent.reconciler.all() if c.wanted) != sum(t.requested for t in agent.tasks.tasks):
            self.failed("books", "requested is not what there is")


def _is_short(task: Task, was: Before) -> bool:
    if task.demand > was.demand:
        return True
    return task.ideal_containers > task.requested and not task.target.meeting(task.metric.current)
