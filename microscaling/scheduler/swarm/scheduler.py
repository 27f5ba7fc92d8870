"""The scheduler of a Swarm's services, which come, change and go while it runs."""

from __future__ import annotations

import logging

from microscaling.clients.docker.swarm import COUNT
from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.replicas.orchestrator import OrchestratorScheduler
from microscaling.scheduler.replicas.reconciler import ReplicaReconciler
from microscaling.scheduler.swarm.orchestrator import SwarmOrchestrator

log = logging.getLogger("mssscheduler")


class SwarmScheduler(OrchestratorScheduler):
    """Keeps the replicas of each service at its demand, through a manager of the swarm."""

    takes_changes = True

    def __init__(self, host: str, tls_verify: bool = False, cert_path: str = "", chosen: str = "") -> None:
        self.swarm = SwarmOrchestrator(host, tls_verify, cert_path, chosen)
        super().__init__(self.swarm)

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

    def _read(self) -> None:
        super()._read()
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
