"""MSS_SCHEDULER=KUBERNETES."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from microscaling.demand.tasks import Tasks
from microscaling.scheduler.base import Scheduler, SchedulerPlugin
from microscaling.scheduler.lease import LEASE, lease_of, leaving
from microscaling.settings import Settings
from microscaling.utils.finding import Finding


def prepare(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Returns the settings with the default that differs with a lease. Raises ConfigError."""
    return leaving(settings, environ)


def make(settings: Settings, environ: Mapping[str, str]) -> Scheduler:
    """Returns a scheduler for the deployments of one namespace. Raises ConfigError."""
    from microscaling.clients.kubernetes.client import Kube
    from microscaling.scheduler.kubernetes.lease_object import LeaseObject
    from microscaling.scheduler.kubernetes.orchestrator import KubernetesOrchestrator
    from microscaling.scheduler.replicas.leased import LeasedScheduler

    def login() -> Kube:
        return Kube(settings.kube_config, settings.kube_namespace)

    # A dry run decides nothing, so it keeps no other agent from deciding.
    lease = "" if settings.dry_run else lease_of(environ)
    # With a client of its own, so that a slow listing does not keep it from being renewed.
    store = LeaseObject(login(), lease) if lease else None
    return LeasedScheduler(KubernetesOrchestrator(login()), store)


def examine(settings: Settings, environ: Mapping[str, str], tasks: Tasks) -> Iterable[Finding]:
    """Looks at the deployments and the lease."""
    from microscaling.scheduler.kubernetes.examine import examine

    return examine(settings, "" if settings.dry_run else lease_of(environ), tasks)


TYPE = SchedulerPlugin(
    "KUBERNETES", "deployments", make, prepare=prepare, variables=(LEASE,), examine=examine
)
