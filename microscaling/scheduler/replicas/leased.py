"""Scaling through an orchestrator that several agents share: the one with the lease decides."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from microscaling.demand.tasks import Tasks
from microscaling.errors import TemporaryError
from microscaling.scheduler.replicas.lease import RELEASE_S, Lease, LeaseStore
from microscaling.scheduler.replicas.orchestrator import Orchestrator, OrchestratorScheduler
from microscaling.scheduler.replicas.reconciler import ReplicaReconciler
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssscheduler")


class LeasedScheduler(OrchestratorScheduler):
    """Keeps the number of instances of each task at its demand while this agent has the lease in `store`, and
    stands by otherwise. None: there is no lease, and this is the only agent."""

    def __init__(
        self,
        orchestrator: Orchestrator,
        store: LeaseStore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(orchestrator, clock)
        self.lease: Lease | None = None
        if store is not None:
            self.lease = lease = Lease(store, self._on_lease)
            orchestrator.lease_until = lambda: lease.until

    @property
    def threads(self) -> list[StoppableThread]:
        started = self.lease is not None and self.lease.ident is not None
        return [*super().threads, *([self.lease] if self.lease is not None and started else [])]

    def _make(self, tasks: Tasks) -> ReplicaReconciler:
        reconciler = super()._make(tasks)
        reconciler.standing_by = self.lease is not None
        return reconciler

    def _adopt(self) -> None:
        if self.lease is not None and self.lease.ident is None:
            self.lease.beat()  # the first answer at once, so that one agent alone need not wait
            if not self.lease.is_held:
                self._stand_by()
            self.lease.start()
        super()._adopt()

    def _read(self) -> None:
        held = self.lease is None or self.lease.is_held  # before the look: what it shows is not older
        self._look()
        if held:
            self._take_over()

    def _look(self) -> None:
        """Reads the state of all tasks. Raises TemporaryError."""
        super()._read()

    def _on_lease(self, held: bool) -> None:
        """Takes a change of the lease; called in its thread."""
        if self.tasks is None:
            return
        if not held:
            self._stand_by()
            return
        # What was listed before may be what the other agent has changed since.
        self.orchestrator.list_anew()
        try:
            self._read()
        except TemporaryError as error:
            log.debug("to be read again, as this agent decides now: %s", error)

    def _stand_by(self) -> None:
        assert self.lease is not None
        other = self.lease.other
        with self._change():
            self.reconciler.stand_by()
            tasks = self.reconciler.tasks
            tasks.hold = f"stands by: another agent decides ({other})" if other else "stands by: no lease yet"
            log.info("%s", tasks.hold)

    def _take_over(self) -> None:
        """Ends the stand-by: what was read last is adopted."""
        with self._change() as now:
            if not self.reconciler.standing_by:
                return
            self.reconciler.standing_by = False
            tasks = self.reconciler.tasks
            tasks.hold = ""
            log.info("this agent has the lease, and decides from now on")
            tasks.changed.set()
            self.reconciler.reconcile(now)

    def _stop_threads(self) -> list[StoppableThread]:
        late = super()._stop_threads()
        # Last, as another agent may act from then on.
        if self.lease is not None:
            late += stop_all([self.lease], RELEASE_S + 1.0)
        return late
