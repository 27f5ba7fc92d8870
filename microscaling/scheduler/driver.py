"""The driver of a reconciler: its lock, the threads for its operations, its start and its end.

An event or a listing changes the reconciler, `reconcile` plans operations, threads carry them out, and each
result is a change again. The reconcilers differ, and so do the calls to a backend; all else is here, once.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError, NotReady, TemporaryError
from microscaling.scheduler.base import Scheduler
from microscaling.utils.pool import Pool
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssscheduler")

JOIN_S = 2.0

Operation = TypeVar("Operation")


class Reconciler(Protocol[Operation]):
    """Compares the desired and the actual state of all tasks, without I/O, clock and threads: its caller
    holds the lock of `Tasks`, and passes the time (monotonic seconds)."""

    acting: bool
    """Changes are allowed: False before the first decision."""

    @property
    def adopted(self) -> bool:
        """True once it knows the containers that ran before the agent."""

    @property
    def idle(self) -> bool:
        """True if the work of `drain` or `leave` is done."""

    def reconcile(self, now: float) -> None:
        """Plans the operations that are possible now."""

    def take(self) -> list[Operation]:
        """Returns the operations to carry out now, each once."""

    def next_due(self) -> float | None:
        """Returns the time at which `reconcile` has work without another change."""

    def drain(self) -> None:
        """From now on every task is to have no container."""

    def leave(self) -> None:
        """From now on nothing new begins."""

    def left(self) -> list[str]:
        """Describes the containers that may be left behind if the agent ended now."""


R = TypeVar("R", bound=Reconciler[Any])


class Driver(Scheduler, Generic[R, Operation]):
    """A scheduler with a reconciler. A subclass makes it, lists the containers, and makes the calls."""

    reconciler: R
    """There is one as soon as `tasks` is set, at the first count."""

    def __init__(self, close: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.tasks: Tasks | None = None
        self.clock = clock
        self.pools: list[Pool[Any]] = []
        """Threads to stop at the end."""
        self._close = close

    def stop_start_tasks(self, tasks: Tasks) -> None:
        self._begin(tasks)
        with self._change() as now:
            self.reconciler.acting = True
            self.reconciler.reconcile(now)

    def next_retry(self) -> float | None:
        if self.tasks is None:
            return None
        with self.tasks:
            return self.reconciler.next_due()

    def drain(self, tasks: Tasks) -> None:
        self._begin(tasks)
        # Before the demand is 0: from here on no late result may lead to a start.
        with tasks:
            self.reconciler.drain()
        super().drain(tasks)

    def leave(self, tasks: Tasks) -> None:
        if self.tasks is not None:
            with self._change() as now:
                self.reconciler.leave()
                self.reconciler.reconcile(now)

    def idle(self, tasks: Tasks) -> bool:
        with tasks:
            return self.tasks is None or self.reconciler.idle

    def left(self) -> list[str]:
        if self.tasks is None:
            return []
        with self.tasks:
            return self.reconciler.left()

    @property
    def threads(self) -> list[StoppableThread]:
        return [thread for pool in self.pools for thread in pool.threads]

    def cleanup(self) -> None:
        late = self._stop_threads()
        if late:
            log.warning("still waiting for an answer: %s", ", ".join(thread.name for thread in late))
        self._close()

    def _stop_threads(self) -> list[StoppableThread]:
        """Stops all threads. Returns those that still run, as their backend does not answer."""
        return [thread for pool in self.pools for thread in pool.stop(JOIN_S)]

    def _begin(self, tasks: Tasks) -> bool:
        """Makes the reconciler at the first call, and adopts the containers that run already. Returns True if
        this call has adopted them. Raises TemporaryError as long as the backend is away."""
        if self.tasks is None:
            self.reconciler = self._make(tasks)
            self.tasks = tasks
        if self.reconciler.adopted:
            return False
        self._adopt()
        return True

    @contextmanager
    def _change(self) -> Iterator[float]:
        """Holds the lock for a change of the reconciler at the time that it gives (monotonic seconds), and
        submits the operations that the change led to."""
        assert self.tasks is not None
        with self.tasks:
            yield self.clock()
            operations: list[Operation] = self.reconciler.take()
        self._planned()
        # Without the lock, as a pool may have to start a thread for it.
        for operation in operations:
            self._submit(operation)

    def _planned(self) -> None:
        """Hook after a change, before its operations begin; called without the lock."""

    def _carry_out(self, operation: Operation) -> None:
        """Makes the call of one operation, in a thread of a pool."""
        # It may have waited for a thread for long, and demand has fallen since.
        if self._called_off(operation):
            return
        id, error, began = "", None, self.clock()
        try:
            id = self._call(operation)
        except MicroscalingError as failed:
            error = failed
        except Exception as failed:  # would end the thread, and with it the agent
            log.exception("%s", operation)
            error = TemporaryError(str(failed))  # the outcome is unknown
        if not isinstance(error, NotReady):  # that is an answer, and comes ten times a second
            self._count(operation, self.clock() - began, error is not None)
        self._done(operation, id, error)

    def _count(self, operation: Operation, seconds: float, failed: bool) -> None:
        """Counts a call for the metrics."""
        if self.tasks is not None and self.tasks.tally is not None:
            name, work = self._named(operation)
            with self.tasks:
                self.tasks.tally.worked(name, work, seconds, failed)

    @abstractmethod
    def _make(self, tasks: Tasks) -> R:
        """Returns the reconciler of these tasks."""

    @abstractmethod
    def _adopt(self) -> None:
        """Takes over the present state of the backend, for the first time."""

    @abstractmethod
    def _submit(self, operation: Operation) -> None:
        """Passes an operation to a pool that calls `_carry_out`."""

    def _called_off(self, operation: Operation) -> bool:
        """Returns True if the operation is not wanted any more, and must not be carried out."""
        return False

    @abstractmethod
    def _call(self, operation: Operation) -> str:
        """Makes the call. Returns the id of a container that it created, else an empty text. Raises
        MicroscalingError."""

    @abstractmethod
    def _named(self, operation: Operation) -> tuple[str, str]:
        """Returns the name of the task of an operation, and a word for its work, such as "start"."""

    @abstractmethod
    def _done(self, operation: Operation, id: str, error: MicroscalingError | None) -> None:
        """Takes the result of a call."""
