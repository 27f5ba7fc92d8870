"""`microscaling check` with deployments of Kubernetes: how many replicas run, and the lease."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from microscaling.clients.kubernetes.client import Kube
from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError
from microscaling.scheduler.kubernetes.lease_object import LeaseObject
from microscaling.scheduler.kubernetes.orchestrator import KubernetesOrchestrator
from microscaling.scheduler.replicas.examine import examine_lease
from microscaling.scheduler.replicas.orchestrator import OrchestratorScheduler
from microscaling.settings import Settings
from microscaling.utils.finding import Finding, error, ok


def examine(settings: Settings, lease: str, tasks: Tasks) -> Iterator[Finding]:
    """Yields the findings about the deployments and the lease ("": none), and counts their replicas. Raises
    ConfigError."""
    kube = Kube(settings.kube_config, settings.kube_namespace)
    # Without a lease, as to take it would be a change.
    scheduler = OrchestratorScheduler(KubernetesOrchestrator(kube))
    try:
        scheduler.count_all_tasks(tasks)
        yield ok(f"KUBERNETES: {sum(task.running for task in tasks.tasks)} {tasks.nouns} run")
    except MicroscalingError as failure:
        yield error(f"KUBERNETES: {failure}")
    finally:
        scheduler.cleanup()
    if lease:
        with contextlib.closing(LeaseObject(kube, lease)) as store:
            yield from examine_lease(store, lease)
