"""MSS_SCHEDULER=KUBERNETES."""

from __future__ import annotations

from collections.abc import Mapping

from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.settings import Settings


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns a scheduler for the deployments of one namespace. Raises ConfigError."""
    from microscaling.clients.kubernetes.client import Kube
    from microscaling.scheduler.kubernetes.orchestrator import KubernetesOrchestrator
    from microscaling.scheduler.replicas.orchestrator import OrchestratorScheduler

    return OrchestratorScheduler(KubernetesOrchestrator(Kube(settings.kube_config, settings.kube_namespace)))


TYPE = SchedulerPlugin("KUBERNETES", "deployments", make)
