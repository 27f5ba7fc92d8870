"""The scheduler of a Swarm's services, which come, change and go while it runs."""

from __future__ import annotations

import logging

from microscaling.clients.docker.reader import EngineReader
from microscaling.clients.docker.swarm import COUNT
from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.replicas.leased import LeasedScheduler
from microscaling.scheduler.replicas.reconciler import ReplicaReconciler
from microscaling.scheduler.swarm.lease_config import ConfigLease
from microscaling.scheduler.swarm.orchestrator import SwarmOrchestrator

log = logging.getLogger("mssscheduler")


class SwarmScheduler(LeasedScheduler):
    """Keeps the replicas of each service at its demand, through a manager of the swarm.

    Of several agents with the same `lease` one decides, and the others stand by; "": there is no lease, and
    this is the only agent.
    """

    takes_changes = True

    def __init__(
        self, host: str, tls_verify: bool = False, cert_path: str = "", chosen: str = "", lease: str = ""
    ) -> None:
        self.swarm = SwarmOrchestrator(host, tls_verify, cert_path, chosen)
        # With a client of its own, so that a slow listing does not keep it from being renewed.
        store = ConfigLease(EngineReader(host, tls_verify, cert_path, chosen), lease) if lease else None
        super().__init__(self.swarm, store)

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

    def _look(self) -> None:
        super()._look()
        count = self.swarm.outside
        with self._change():
            tasks = self.reconciler.tasks
            if tasks.outside != count:
                tasks.outside = count
                tasks.orphans = f"{count} tasks of services with the label {COUNT}" if count else ""
                log.info("%d places under the cap are for tasks of services with the label %s", count, COUNT)
                tasks.changed.set()

    def _make(self, tasks: Tasks) -> ReplicaReconciler:
        self.swarm.on_services = tasks.stale.set
        reconciler = super()._make(tasks)
        reconciler.waits_for_others = True
        return reconciler
