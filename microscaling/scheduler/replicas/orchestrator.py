"""Scaling through an orchestrator: its interface, and the threads of the requests.

An orchestrator (Marathon, Kubernetes) starts and replaces instances by itself. The agent only sets the number
of instances of a task, and reads the numbers of requested and running ones.

To add one, write an `Orchestrator` and pass it to an `OrchestratorScheduler`. The reconciler decides on the
requests, the cap, back-off, adoption, drain and leave, the same for all.
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
"""Concurrent requests to the orchestrator."""
JOIN_S = 2.0


class Orchestrator(ABC):
    """The interface of Marathon, Kubernetes and their kin. All names are names of tasks.

    Every call ends by itself within 10 s, and may come from any thread, several at a time.
    """

    name: str
    """For logs, without secrets: "Marathon at http://10.0.0.1:8080"."""
    what: str
    """The orchestrator's noun for a task, for logs: "app", "deployment"."""

    def prepare(self, task: Task) -> None:
        """Checks, once at the start and without a request, that the task can be scaled. Raises PermanentError
        if not: then the task is not scaled, and the others go on."""

    @abstractmethod
    def read(self, names: Sequence[str]) -> Mapping[str, Found]:
        """Returns the state of each task. A missing one is left out (or None); for one that must not be read
        the value is a PermanentError with the reason and the remedy.

        The answer must not be older than the call, nor than the last acknowledged `scale`. Raises
        TemporaryError if nothing can be read now; PermanentError if nothing ever can (wrong credentials, not
        such an orchestrator at all), which ends the agent, but only at the start.
        """

    @abstractmethod
    def scale(self, name: str, instances: int) -> None:
        """Requests a number of instances; returns after the acceptance of the request, not of its completion.

        Raises Conflict if the request was refused for now (a lock, another version), PermanentError if it was
        refused for good (forbidden, invalid, gone), and another TemporaryError if its acceptance is unknown.
        It never creates a missing app.
        """

    def watch(self, heard: Callable[[Mapping[str, Found]], None]) -> None:
        """Registers a callback for changes; called once, before the first `read`. The callback may then be
        called from a thread of the orchestrator's own. As with `read`, a state older than an acknowledged
        `scale` must not be reported."""

    @property
    def threads(self) -> list[StoppableThread]:
        """Threads that must live as long as the agent."""
        return []

    def close(self) -> None:
        """Releases threads and sockets."""


class OrchestratorScheduler(Scheduler):
    """Keeps the number of instances of each task at its demand, through an orchestrator."""

    def __init__(self, orchestrator: Orchestrator, clock: Callable[[], float] = time.monotonic) -> None:
        self.orchestrator = orchestrator
        self.clock = clock
        self.reconciler: ReplicaReconciler | None = None
        self._barred: dict[str, PermanentError] = {}
        self._scalers = Pool("mss-scale", SCALERS, self._carry_out)

    def init_scheduler(self, task: Task) -> None:
        """Checks that the task can be scaled. Never raises: otherwise the task is logged and not scaled."""
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
        """Makes no further request; the orchestrator completes the accepted ones."""
        if self.reconciler is not None:
            with tasks:
                self.reconciler.leaving = True

    def idle(self, tasks: Tasks) -> bool:
        """True as soon as the orchestrator has accepted all requests: it completes them without the agent."""
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
        """Takes changes of some tasks; called in a thread of the orchestrator."""
        reconciler = self.reconciler
        # Changes from before the adoption are part of the first answer, too.
        if reconciler is not None and reconciler.adopted:
            with reconciler.tasks:
                reconciler.apply(found, reconciler.mark(), self.clock())
            self._plan(reconciler)

    def _begin(self, tasks: Tasks) -> ReplicaReconciler:
        if self.reconciler is None:
            self.reconciler = ReplicaReconciler(tasks, self.orchestrator.name, self.orchestrator.what)
            self.orchestrator.watch(self.heard)  # before the first read, so that no change is missed
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
            raise TemporaryError(str(error)) from None  # it has worked before, so it may work again
        with reconciler.tasks:
            found = {name: self._barred.get(name, seen.get(name)) for name in names}
            reconciler.apply(found, mark, self.clock())
        self._plan(reconciler)

    def _plan(self, reconciler: ReplicaReconciler) -> None:
        """Submits all requests that are possible now; none before the first decision."""
        with reconciler.tasks:
            calls = reconciler.reconcile(self.clock())
        for call in calls:
            self._scalers.submit(call)

    def _carry_out(self, call: ScaleRequest) -> None:
        """Makes one request in a thread of the pool, records its result, and submits the requests it makes
        possible."""
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
