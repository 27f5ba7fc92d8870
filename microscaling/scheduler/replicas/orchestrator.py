"""Scaling by asking for a number: what an orchestrator has to be able to do, and the threads that ask.

An orchestrator (Marathon, Kubernetes) starts and replaces instances by itself. It is told how many
of a task there are to be, and tells how many were asked for and how many run.

To add one: write an `Orchestrator`, and hand it to an `OrchestratorScheduler`. What is asked for
when, the cap, back-off, adoption, drain and leave are in ledger.py and the same for all.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.base import Scheduler
from microscaling.scheduler.replicas.reconciler import (
    Conflict,
    Found,
    ReplicaReconciler,
    Replicas,
    ScaleRequest,
)
from microscaling.utils.pool import Pool
from microscaling.utils.threads import StoppableThread

__all__ = ["Conflict", "Found", "Orchestrator", "OrchestratorScheduler", "Replicas", "ScaleRequest"]

log = logging.getLogger("mssscheduler")

SCALERS = 8
"""Calls to the orchestrator at a time."""
JOIN_S = 2.0


class Orchestrator(ABC):
    """What is asked of Marathon, Kubernetes and their kin. All names are names of tasks.

    Every call ends by itself within 10 s, and may come from any thread, several at a time.
    """

    name: str
    """In logs: "Marathon at http://10.0.0.1:8080", no secrets."""
    what: str
    """What a task is there, in logs: "app", "deployment"."""

    def prepare(self, task: Task) -> None:
        """Looks once, at the start, whether the task can be scaled at all: it asks nobody. Raises
        PermanentError if not: the task is left alone, and the others go on."""

    @abstractmethod
    def read(self, names: Sequence[str]) -> Mapping[str, Found]:
        """What there is of each task. One that is not there is left out (or None); one that may not
        be looked at is a PermanentError that says why, and how to mend it.

        The answer must not be older than the call, nor than the last `scale` that was acknowledged.
        Raises TemporaryError if nothing can be said now; PermanentError if it never will be (wrong
        credentials, not such an orchestrator at all), which ends the agent, but only at the start.
        """

    @abstractmethod
    def scale(self, name: str, instances: int) -> None:
        """Asks for so many instances; returns once that is accepted, not when it is done.

        Raises Conflict if it was refused for now (a lock, another version), PermanentError if it was
        refused for good (forbidden, invalid, gone), and any other TemporaryError if it is not known
        whether it was accepted. It never creates what is not there.
        """

    def watch(self, heard: Callable[[Mapping[str, Found]], None]) -> None:
        """Called once, before the first `read`: from now on `heard` may be called, from a thread of
        the orchestrator's own, with what is news of some tasks. The same holds as for `read`: news
        that is older than an acknowledged `scale` must be kept back."""

    @property
    def threads(self) -> list[StoppableThread]:
        """Threads that must live as long as the agent."""
        return []

    def close(self) -> None:
        """Lets go of threads and sockets."""


class OrchestratorScheduler(Scheduler):
    """Has an orchestrator run as many of each task as are demanded."""

    def __init__(self, orchestrator: Orchestrator, clock: Callable[[], float] = time.monotonic) -> None:
        self.orchestrator = orchestrator
        self.clock = clock
        self.reconciler: ReplicaReconciler | None = None
        self._barred: dict[str, PermanentError] = {}
        self._scalers = Pool("mss-scale", SCALERS, self._carry_out)

    def init_scheduler(self, task: Task) -> None:
        """Never raises: a task that cannot be scaled is said to be so, and left alone."""
        try:
            self.orchestrator.prepare(task)
        except PermanentError as error:
            self._barred[task.name] = error

    def stop_start_tasks(self, tasks: Tasks) -> None:
        reconciler = self._begin(tasks)
        if not reconciler.adopted:
            self._read(reconciler)
        with tasks:
            reconciler.acting = True
        self._plan(reconciler)

    def count_all_tasks(self, tasks: Tasks) -> None:
        self._read(self._begin(tasks))

    def next_retry(self) -> float | None:
        if self.reconciler is None:
            return None
        with self.reconciler.tasks:
            return self.reconciler.next_due()

    def drain(self, tasks: Tasks) -> None:
        reconciler = self._begin(tasks)
        with tasks:
            reconciler.drain()
        super().drain(tasks)

    def leave(self, tasks: Tasks) -> None:
        """Asks for nothing more; what has been asked for is left to the orchestrator."""
        if self.reconciler is not None:
            with tasks:
                self.reconciler.leaving = True

    def idle(self, tasks: Tasks) -> bool:
        """As soon as the orchestrator has accepted it: it does not depend on us from there."""
        with tasks:
            return self.reconciler is None or self.reconciler.idle

    def left(self) -> list[str]:
        if self.reconciler is None:
            return []
        with self.reconciler.tasks:
            return self.reconciler.left()

    @property
    def threads(self) -> list[StoppableThread]:
        return [*self._scalers.threads, *self.orchestrator.threads]

    def cleanup(self) -> None:
        late = self._scalers.stop(JOIN_S)
        if late:
            log.warning("still waiting for an answer: %s", ", ".join(thread.name for thread in late))
        self.orchestrator.close()

    def heard(self, found: Mapping[str, Found]) -> None:
        """News of some tasks, in a thread of the orchestrator's."""
        reconciler = self.reconciler
        if reconciler is not None and reconciler.adopted:  # what came before is in the first answer too
            with reconciler.tasks:
                reconciler.apply(found, reconciler.mark(), self.clock())
            self._plan(reconciler)

    def _begin(self, tasks: Tasks) -> ReplicaReconciler:
        if self.reconciler is None:
            self.reconciler = ReplicaReconciler(tasks, self.orchestrator.name, self.orchestrator.what)
            self.orchestrator.watch(self.heard)
        return self.reconciler

    def _read(self, reconciler: ReplicaReconciler) -> None:
        with reconciler.tasks:
            mark = reconciler.mark()
            names = list(reconciler.accounts)
        try:
            seen = self.orchestrator.read([name for name in names if name not in self._barred])
        except PermanentError as error:
            if not reconciler.adopted:
                raise
            raise TemporaryError(str(error)) from None  # it has worked before, so it may again
        with reconciler.tasks:
            found = {name: self._barred.get(name, seen.get(name)) for name in names}
            reconciler.apply(found, mark, self.clock())
        self._plan(reconciler)

    def _plan(self, reconciler: ReplicaReconciler) -> None:
        """Asks for what can be asked for now; nothing, before the first decision."""
        with reconciler.tasks:
            calls = reconciler.reconcile(self.clock())
        for call in calls:
            self._scalers.submit(call)

    def _carry_out(self, call: ScaleRequest) -> None:
        """In a thread of the pool: one call, what came of it, and what that makes possible."""
        assert self.reconciler is not None
        error: TemporaryError | PermanentError | None = None
        log.debug("%s: asking for %d", call.name, call.instances)
        try:
            self.orchestrator.scale(call.name, call.instances)
        except (TemporaryError, PermanentError) as failed:
            error = failed
        with self.reconciler.tasks:
            self.reconciler.finish(call, error, self.clock())
        self._plan(self.reconciler)
