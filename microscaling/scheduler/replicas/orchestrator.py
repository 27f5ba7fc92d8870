"""Scaling through an orchestrator: its interface, and the driver with its requests.

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
from microscaling.errors import MicroscalingError, PermanentError, TemporaryError
from microscaling.scheduler.driver import Driver
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


class Orchestrator(ABC):
    """The interface of Marathon, Kubernetes and their kin. All names are names of tasks.

    Every call ends by itself within 10 s, and may come from any thread, several at a time.
    """

    name: str
    """For logs, without secrets: "Marathon at http://10.0.0.1:8080"."""
    what: str
    """The orchestrator's noun for a task, for logs: "app", "deployment"."""

    lease_until: Callable[[], float] | None = None
    """Returns the time until which a `scale` may be sent (monotonic seconds); None without a lease."""

    def answered_by(self, seconds: float) -> float:
        """Returns the time by which a `scale` of at most so many seconds has to be answered, to be asked for
        right before it is sent. Raises Conflict if the lease has run out."""
        now = time.monotonic()
        until = now + seconds
        if self.lease_until is not None:
            until = min(until, self.lease_until())
        # The process may have been frozen since the decision, and another agent have taken the lease.
        if now >= until:
            raise Conflict("another agent may decide by now")
        return until

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

    def list_anew(self) -> None:
        """Has the next `read` ask for everything, whatever is known from before."""

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


class OrchestratorScheduler(Driver[ReplicaReconciler, ScaleRequest]):
    """Keeps the number of instances of each task at its demand, through an orchestrator."""

    def __init__(self, orchestrator: Orchestrator, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(orchestrator.close, clock)
        self.orchestrator = orchestrator
        self._barred: dict[str, PermanentError] = {}
        self._scalers = Pool("mss-scale", SCALERS, self._carry_out)
        self.pools = [self._scalers]

    def init_scheduler(self, task: Task) -> None:
        """Checks that the task can be scaled. Never raises: otherwise the task is logged and not scaled."""
        try:
            self.orchestrator.prepare(task)
        except PermanentError as error:
            self._barred[task.name] = error

    def count_all_tasks(self, tasks: Tasks) -> None:
        # The adoption has read everything just now.
        if not self._begin(tasks):
            self._read()

    @property
    def threads(self) -> list[StoppableThread]:
        return [*super().threads, *self.orchestrator.threads]

    def heard(self, found: Mapping[str, Found]) -> None:
        """Takes changes of some tasks; called in a thread of the orchestrator."""
        # Changes from before the adoption are part of the first answer, too.
        if self.tasks is not None and self.reconciler.adopted:
            with self._change() as now:
                self.reconciler.hear(found, now)

    def _make(self, tasks: Tasks) -> ReplicaReconciler:
        self.orchestrator.watch(self.heard)  # before the first read, so that no change is missed
        return ReplicaReconciler(tasks, self.orchestrator.name, self.orchestrator.what)

    def _adopt(self) -> None:
        self._read()

    def _read(self) -> None:
        reconciler = self.reconciler
        with self._change():
            mark = reconciler.mark()
        names = list(reconciler.states)
        try:
            seen = self.orchestrator.read([name for name in names if name not in self._barred])
        except PermanentError as error:
            if not reconciler.adopted:
                raise
            raise TemporaryError(str(error)) from None  # it has worked before, so it may work again
        found = {name: self._barred.get(name, seen.get(name)) for name in names}
        with self._change() as now:
            reconciler.apply(found, mark, now)
            reconciler.reconcile(now)

    def _submit(self, operation: ScaleRequest) -> None:
        self._scalers.submit(operation)

    def _call(self, operation: ScaleRequest) -> str:
        log.debug("%s: asking for %d", operation.name, operation.instances)
        self.orchestrator.scale(operation.name, operation.instances)
        return ""

    def _named(self, operation: ScaleRequest) -> tuple[str, str]:
        return operation.name, "scale"

    def _done(self, operation: ScaleRequest, id: str, error: MicroscalingError | None) -> None:
        with self._change() as now:
            self.reconciler.on_done(operation, error, now)
            self.reconciler.reconcile(now)
