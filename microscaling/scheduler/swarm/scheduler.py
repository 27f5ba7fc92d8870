"""The scheduler of a Swarm's services, which come, change and go while it runs."""

from __future__ import annotations

import logging

from microscaling.clients.docker.reader import EngineReader
from microscaling.clients.docker.swarm import COUNT
from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.tasks import Tasks
from microscaling.errors import TemporaryError
from microscaling.scheduler.replicas.lease import RELEASE_S, Lease
from microscaling.scheduler.replicas.orchestrator import OrchestratorScheduler
from microscaling.scheduler.replicas.reconciler import ReplicaReconciler
from microscaling.scheduler.swarm.lease_config import ConfigLease
from microscaling.scheduler.swarm.orchestrator import SwarmOrchestrator
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssscheduler")


class SwarmScheduler(OrchestratorScheduler):
    """Keeps the replicas of each service at its demand, through a manager of the swarm.

    Of several agents with the same `lease` one decides, and the others stand by; "": there is no lease, and
    this is the only agent.
    """

    takes_changes = True

    def __init__(
        self, host: str, tls_verify: bool = False, cert_path: str = "", chosen: str = "", lease: str = ""
    ) -> None:
        self.swarm = SwarmOrchestrator(host, tls_verify, cert_path, chosen)
        super().__init__(self.swarm)
        self.lease: Lease | None = None
        if lease:
            # With a client of its own, so that a slow listing does not keep it from being renewed.
            reader = EngineReader(host, tls_verify, cert_path, chosen)
            self.lease = Lease(ConfigLease(reader, lease), self._on_lease)
            self.swarm.may_send_until = lambda lease=self.lease: lease.until  # type: ignore[misc]

    def change_tasks(self, tasks: Tasks, change: Change) -> None:
        self._begin(tasks)
        with self._change():
            mark = self.reconciler.mark()
        # Before the change, so that nothing is decided about tasks whose containers are unknown.
        seen = self.swarm.read([task.name for task in change.tasks])
        with self._change() as now:
            limits.reconfigure(tasks, change)
            self.reconciler.follow()
            self.reconciler.apply(seen, mark, now)
            self.reconciler.reconcile(now)

    @property
    def threads(self) -> list[StoppableThread]:
        started = self.lease is not None and self.lease.ident is not None
        return [*super().threads, *([self.lease] if self.lease is not None and started else [])]

    def _read(self) -> None:
        held = self.lease is None or self.lease.is_held  # before the look: what it shows is not older
        super()._read()
        count = self.swarm.outside
        with self._change():
            tasks = self.reconciler.tasks
            if tasks.outside != count:
                tasks.outside = count
                tasks.orphans = f"{count} tasks of services with the label {COUNT}" if count else ""
                log.info("%d places under the cap are for tasks of services with the label %s", count, COUNT)
                tasks.changed.set()
        if held:
            self._take_over()

    def _make(self, tasks: Tasks) -> ReplicaReconciler:
        self.swarm.on_services = tasks.stale.set
        reconciler = super()._make(tasks)
        reconciler.waits_for_others = True
        reconciler.standing_by = self.lease is not None
        return reconciler

    def _adopt(self) -> None:
        if self.lease is not None and self.lease.ident is None:
            self.lease.beat()  # the first answer at once, so that one agent alone need not wait
            if not self.lease.is_held:
                self._stand_by()
            self.lease.start()
        super()._adopt()

    def _on_lease(self, held: bool) -> None:
        """Takes a change of the lease; called in its thread."""
        if self.tasks is None:
            return
        if not held:
            self._stand_by()
            return
        # What was listed before may be what the other agent has changed since.
        self.swarm.list_anew()
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
