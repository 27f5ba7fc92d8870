"""The interface of a demand engine, as the agent calls it."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from microscaling.demand.tasks import Tasks
from microscaling.engine.beats import Beats
from microscaling.engine.poll import Poll
from microscaling.utils.threads import StoppableThread

TOKEN = True
"""In the slot: demand has changed. A token that is still there covers all later changes too."""
CLOSED = None
"""In the slot: the engine has stopped, and nothing follows."""

Slot = queue.Queue[bool | None]
"""The channel from the engine to the scheduler: `queue.Queue(maxsize=1)`."""


@dataclass(frozen=True)
class SourceCounts:
    """The requests to one source since the start of the agent."""

    name: str
    """For people, without credentials."""
    answers: int
    """Failed requests included."""
    errors: int
    seconds: float
    """The time that all of them took."""


@dataclass(frozen=True)
class Counts:
    """Counters of an engine, for the metrics."""

    beats: int = 0
    skipped: int = 0
    """Beats that were left out, as the agent was too busy."""
    sources: tuple[SourceCounts, ...] = ()

    @classmethod
    def of(cls, beats: Beats | None, polls: Iterable[Poll]) -> Counts:
        """Returns the counters of these beats and sources; reads them without a lock."""
        # Each number has one writer, and to be one request late does no harm.
        sources = tuple(
            SourceCounts(poll.source.name, poll.answers, poll.errors, poll.seconds) for poll in polls
        )
        if beats is None:
            return cls(sources=sources)
        return cls(beats.number - beats.skipped, beats.skipped, sources)


class Engine(ABC):
    """Decides how many containers each task should have, in threads of its own.

    Only the engine writes `demand` of a task, apart from the rules of `demand.limits` that schedulers call.
    It writes with the lock of `Tasks` held, and does no I/O under that lock.
    """

    def __init__(self) -> None:
        self.threads: list[StoppableThread] = []
        """For the supervision by the agent. The first one makes the decisions, and is checked for standstill
        too."""
        self.decided = threading.Event()
        """Set after the first decision."""

    @abstractmethod
    def get_demand(self, tasks: Tasks, demand_update: Slot) -> None:
        """Starts the decisions and returns at once. After each change of demand there is a TOKEN in
        `demand_update`."""

    def counts(self) -> Counts:
        """Returns its counters; may be called from any thread."""
        return Counts()

    @abstractmethod
    def stop_demand(self, demand_update: Slot) -> None:
        """Ends the decisions, and leaves CLOSED in `demand_update` in place of any token."""


def put_token(demand_update: Slot) -> None:
    """Signals a change of demand; never blocks."""
    try:
        demand_update.put_nowait(TOKEN)
    except queue.Full:  # the reader of the waiting token will see this change as well
        pass


def put_closed(demand_update: Slot) -> None:
    """Signals the end. All threads that put tokens must have stopped before."""
    while True:
        try:
            demand_update.put_nowait(CLOSED)
            return
        except queue.Full:
            _empty(demand_update)


def _empty(demand_update: Slot) -> None:
    try:
        demand_update.get_nowait()
    except queue.Empty:
        pass
