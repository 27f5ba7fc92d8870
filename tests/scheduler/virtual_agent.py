"""The agent without its threads: whatever those wait for comes from the agenda of a virtual engine.

What `microscaling.agent`, `scheduler.driver` and `engine.local` do in threads is done here step by
step, with their delays; the parts that decide, count and plan are the real ones.
"""

from __future__ import annotations

import heapq
import itertools
import queue
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.engine.server import DemandThread
from microscaling.errors import TemporaryError
from microscaling.scheduler.containers.backend import BackendUnavailable, Event, ListedContainer
from microscaling.scheduler.containers.container import Operation, Work
from microscaling.scheduler.containers.driver import LIST_EVERY_S, MAX_STOPPERS, STARTERS
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from microscaling.utils.backoff import Backoff
from tests.scheduler.simulated_engine import TIME_OUT_S, VirtualEngine
from tests.scheduler.virtual_sources import VirtualSource, fresh_readings

BEAT_S = 0.5
EXIT_S = 31.0


class Watcher(Protocol):
    """Whoever judges what an agent does."""

    def adopted(self, agent: VirtualAgent) -> None: ...
    def handed_out(self, agent: VirtualAgent, operation: Operation) -> None: ...
    def sent(self, agent: VirtualAgent, operation: Operation) -> None: ...
    def done(self, agent: VirtualAgent, operation: Operation, error: Exception | None) -> None: ...
    def heard(self, agent: VirtualAgent, event: Event) -> None: ...
    def listed(self, agent: VirtualAgent, seen: list[ListedContainer]) -> None: ...
    def decides(self, agent: VirtualAgent, decision: Callable[[], bool]) -> bool: ...


class Pool:
    """A few threads that carry out operations: so many at a time, the lowest rank first."""

    def __init__(self, size: int) -> None:
        self.size, self.busy = size, 0
        self.waiting: list[tuple[int, int, Operation]] = []


class VirtualAgent:
    """One run of the agent, from its start to its end, or until it is killed."""

    def __init__(self, engine: VirtualEngine, tasks: Tasks, watcher: Watcher, server: bool) -> None:
        self.engine, self.tasks, self.watcher, self.rng = engine, tasks, watcher, engine.rng
        self.reconciler = ContainerReconciler(tasks)
        self.listing = Listing(self.reconciler)
        self.readings = Readings(tasks.tasks, 3 * BEAT_S)
        self.decider = Decider(tasks, self.readings)
        self.decided = False
        self.message = b""
        """What the server says as soon as it is connected, and it says anything."""
        self.fresh: dict[str, bool] = {}
        """By task, at the last measurement: whether there was a reading that can be believed."""
        self.engine_thread: Any = None
        if server:
            said = SimpleNamespace(decided=SimpleNamespace(set=lambda: None, is_set=self._has_decided))
            self.engine_thread = DemandThread(said, tasks, queue.Queue(maxsize=1))  # type: ignore[arg-type]
        self.backed_off: set[str] = set()
        """Tasks that have been backing off since somebody last emptied this."""
        self.alive = True
        self.asked = False
        self.ending = ""
        self.gave_up = False
        self.frozen_until = 0.0
        self.stream_open = self.stream_silent = False
        self.streams = 0
        self.beats = 0
        self._listed = float("-inf")
        self._numbers = itertools.count()
        self._starters = Pool(STARTERS)
        self._stoppers = Pool(max(1, min(tasks.max_containers, MAX_STOPPERS)))
        self._stream_backoff, self._count_backoff = Backoff(0.1, 2.0), Backoff(0.25, 5.0)
        self._last_event = 0.0
        self._stream_ended = float("inf")
        self._extra_is_due = False
        engine.listeners.append(self)
        self.after(0.0, self._open_stream)
        self.after(0.0, self._count)

    # From outside

    def end(self) -> None:
        """As kill -9 does it: what it has asked of the engine may still be done."""
        self.alive = False
        if self in self.engine.listeners:
            self.engine.listeners.remove(self)

    def ask_to_end(self, how: str) -> None:
        """SIGTERM: `drain` or `leave`."""
        self.asked = True
        self.after(0.0, self._begin_to_end, how)

    def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        if self.frozen_until <= self.engine.now:
            self.frozen_until = self.engine.now + seconds

    def break_stream(self, silently: bool) -> None:
        """The event stream ends, or only tells nothing any more."""
        if silently:
            self.stream_silent = True
        elif self.stream_open:
            self._stream_ends(None)

    def tell(self, event: Event) -> None:
        """The engine says that something has happened."""
        faults, rng, now = self.engine.faults, self.rng, self.engine.now
        if not self.stream_open or self.stream_silent or rng.random() < faults.lost_event:
            return
        for _ in range(1 + (rng.random() < faults.repeated_event)):
            delay = rng.uniform(0, faults.event_s)
            if not faults.disordered:
                delay = max(delay, self._last_event - now)
                self._last_event = now + delay
            self.after(delay, self._hear, event, self.streams)

    @property
    def has_a_say(self) -> bool:
        """Whether it decides anything: without a server's first word it does not."""
        return self.engine_thread is None or bool(self.engine_thread.wants)

    def hear_server(self, message: bytes) -> None:
        """The server says what it wants."""
        if self.adopted:
            self.after(0.05, self.engine_thread.hear, message)
        else:
            self.message = message

    @property
    def adopted(self) -> bool:
        return self.reconciler.unmanaged.adopted is not None

    # What its threads do

    def after(self, delay: float, what: Callable[..., None], *arguments: Any) -> None:
        self.engine.at(delay, self._run, what, arguments)

    def _run(self, what: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if not self.alive:
            return
        now = self.engine.now
        if now < self.frozen_until:
            self.engine.at(self.frozen_until - now, self._run, what, arguments)
            return
        what(*arguments)
        self.backed_off.update(task.name for task in self.tasks.tasks if task.backing_off)
        self._submit()
        if self.tasks.changed.is_set() and not self._extra_is_due and self.adopted and not self.ending:
            self._extra_is_due = True
            self.after(self.rng.random() * 0.02, self._extra)

    def _has_decided(self) -> bool:
        return self.decided

    def _beat(self) -> None:
        """Asks the sources, and waits a little for those that answered last time."""
        if self.ending:
            return
        self.after(BEAT_S, self._beat)
        patience = BEAT_S / 4 if self.beats else 2 * BEAT_S
        wait = 0.0
        for poll in self.readings.start(self.engine.now, patience):
            source = poll.source
            assert isinstance(source, VirtualSource)
            delay = source.delay()
            if delay:
                self.after(delay, poll.ask, self._clock)
                wait = max(wait, min(patience, delay)) if poll.in_time else wait
            else:
                poll.ask(self._clock)
        if wait:
            self.after(wait, self._measured)
        else:
            self._measured()

    def _clock(self) -> float:
        return self.engine.now

    def _measured(self) -> None:
        if self.ending:
            return
        self.readings.give_up()
        self.beats += 1
        self.fresh = fresh_readings(self.tasks, self.engine.now)
        if self.engine_thread is None:
            changed = self.watcher.decides(self, lambda: self.decider.beat(self.engine.now))
            self._plan(changed)
        else:
            self.readings.judge(self.engine.now)
            self.readings.apply()
            self._serve()
        due = self.reconciler.next_due() if self.decided else None
        if due is not None and due - self.engine.now < BEAT_S:
            self.after(max(0.0, due - self.engine.now), self._plan_again)

    def _extra(self) -> None:
        self._extra_is_due = False
        if self.ending or not self.tasks.changed.is_set():
            return
        if self.engine_thread is not None:
            self._serve()
        elif self.decided:
            self._plan(self.watcher.decides(self, self.decider.reallocate))

    def _serve(self) -> None:
        thread = self.engine_thread
        self.tasks.changed.set()  # it waits for this, or half a second
        self.watcher.decides(self, thread.cycle)
        if thread.wants and not self.tasks.changed.is_set():
            self._plan(not thread.slot.empty())
            while not thread.slot.empty():
                thread.slot.get_nowait()

    def _plan(self, changed: bool) -> None:
        if changed or not self.decided:
            self.decided = True
            self.reconciler.acting = True
            self.reconciler.reconcile(self.engine.now)

    def _plan_again(self) -> None:
        due = self.reconciler.next_due()
        if due is not None and due <= self.engine.now + 1e-6:  # it was asked for by its distance
            self.reconciler.reconcile(max(due, self.engine.now))

    def _hear(self, event: Event, stream: int) -> None:
        if stream == self.streams and self.stream_open:
            self.listing.heard(event.id, event.kind)
            self.reconciler.on_event(event, self.engine.now)
            self.watcher.heard(self, event)

    # Operations

    def _submit(self) -> None:
        for operation in self.reconciler.take():
            self.watcher.handed_out(self, operation)
            starts = operation.work in (Work.CREATE, Work.START)
            rank = 0 if operation.work in (Work.START, Work.STOP) else 1
            pool = self._starters if starts else self._stoppers
            heapq.heappush(pool.waiting, (rank, next(self._numbers), operation))
            self._work(pool)

    def _work(self, pool: Pool) -> None:
        while pool.waiting and pool.busy < pool.size:
            operation = heapq.heappop(pool.waiting)[2]
            if self.reconciler.call_off(operation, self.engine.now):
                self.watcher.done(self, operation, None)
                self._submit()
                continue
            pool.busy += 1
            self.watcher.sent(self, operation)
            self.engine.carry_out(operation, self._answered, self)

    def _answered(self, operation: Operation, error: Exception | None, id: str) -> None:
        self._run(self._replied, (operation, error, id))

    def _replied(self, operation: Operation, error: Exception | None, id: str) -> None:
        pool = self._starters if operation.work in (Work.CREATE, Work.START) else self._stoppers
        pool.busy -= 1
        self.watcher.done(self, operation, error)
        self.reconciler.on_done(operation, error, self.engine.now, id)
        self._submit()
        self._work(pool)

    # Looking

    def _open_stream(self) -> None:
        if not self.engine.up:
            self._stream_ends(BackendUnavailable("connection refused"))
            return
        self.stream_open, self.stream_silent = True, False
        self.streams += 1
        self._stream_backoff.reset()
        self.listing.reopened(self._stream_ended)
        self._listed = float("-inf")

    def _stream_ends(self, error: TemporaryError | None) -> None:
        self.stream_open = False
        self._stream_ended = self.engine.now
        self._listed = float("-inf")
        self.reconciler.away = self.reconciler.away or isinstance(error, BackendUnavailable)
        self.after(self._stream_backoff.next(), self._open_stream)

    def _count(self) -> None:
        now = self.engine.now
        if self.stream_open and not self.engine.up:
            self._stream_ends(BackendUnavailable("connection reset"))
        if self.listing.stream_is_broken(now):
            self.break_stream(silently=False)
        if not self.adopted and not self.stream_open:
            self.after(self._count_backoff.next(), self._count)
            return
        due = now - self._listed >= LIST_EVERY_S or self.reconciler.away or self.reconciler.in_doubt
        if due or not self.stream_open:
            self._list()
        else:
            self.after(BEAT_S, self._count)

    def _list(self) -> None:
        asked = self.listing.ask()
        reply_s = self.engine.faults.reply_s
        if not self.engine.up:
            self.reconciler.away = True
            self.after(self._count_backoff.next(), self._count)
        elif self.rng.random() < self.engine.faults.lost_reply:
            self.after(TIME_OUT_S, self._count)
        else:
            self.engine.at(self.rng.uniform(0, reply_s), self._look, asked, self.rng.uniform(0, reply_s))

    def _look(self, asked: int, delay: float) -> None:
        """In the engine: what the listing will show."""
        if self.engine.up:
            self.after(delay, self._take_listing, asked, self.engine.snapshot())
        else:
            self.after(delay, self._list)

    def _take_listing(self, asked: int, seen: list[ListedContainer]) -> None:
        first = not self.adopted
        self._count_backoff.reset()
        self.listing.apply(asked, seen, self.engine.now)
        self._listed = self.engine.now
        self.watcher.listed(self, seen)
        if first:
            self.watcher.adopted(self)
            self.after(self.rng.random() * BEAT_S, self._beat)
            if self.message:
                self.hear_server(self.message)
        self.after(BEAT_S, self._count)

    # The end

    def _begin_to_end(self, how: str) -> None:
        if not self.adopted:
            self.end()
            return
        self.ending = how
        if how == "leave":
            self.reconciler.leave()
        else:
            self.reconciler.drain()
            for task in self.tasks.tasks:
                task.demand = 0
        self.reconciler.reconcile(self.engine.now)
        self._wait_idle(self.engine.now + EXIT_S)

    def _wait_idle(self, deadline: float) -> None:
        now = self.engine.now
        self.gave_up = now >= deadline and not self.reconciler.idle
        if self.reconciler.idle or self.gave_up:
            self.end()
            return
        due = self.reconciler.next_due()
        if due is not None and due <= now:
            self.reconciler.reconcile(now)
        self.after(0.1, self._wait_idle, deadline)
