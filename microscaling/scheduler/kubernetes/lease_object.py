"""The record of a lease as a Lease of Kubernetes (coordination.k8s.io/v1), as its own controllers use it."""

from __future__ import annotations

from datetime import datetime, timezone
from math import ceil

from microscaling.clients.kubernetes.client import NOT_FOUND, Item, Kube, Refused
from microscaling.scheduler.replicas.lease import LEASE_S, LeaseStore, Record

PREFIX = "microscaling-"
CHANGED = 409


class LeaseObject(LeaseStore):
    """One lease of the namespace of `kube`."""

    def __init__(self, kube: Kube, lease: str) -> None:
        self.kube = kube
        # Names of objects are in lower case, and may have no _ ("Object Names and IDs").
        self.object = PREFIX + lease.lower().replace("_", "-")
        self.name = f"the Lease {self.object} of the namespace {kube.namespace}"

    def read(self, until: float) -> Record | None:
        found = self.kube.lease(self.object, until)
        if found is None:
            return None
        with self.kube.errors():
            about, spec = found["metadata"], found.get("spec") or {}
            return Record(self.object, str(about["resourceVersion"]), str(spec.get("holderIdentity") or ""))

    def write(self, known: Record | None, holder: str, until: float) -> bool:
        try:
            self.kube.write_lease(self._item(known, holder), until)
        except Refused as error:
            removed = known is not None and error.status == NOT_FOUND
            if removed or error.status == CHANGED:
                return False
            raise
        return True

    def try_write(self, known: Record | None, until: float) -> None:
        try:
            self.kube.write_lease(self._item(known, known.holder if known else ""), until, tries=True)
        except Refused as error:
            if error.status != CHANGED:  # its holder has renewed it meanwhile
                raise

    def close(self) -> None:
        self.kube.close()

    def _item(self, known: Record | None, holder: str) -> Item:
        # For people only: the agents compare versions, and no clocks. But without another time in it the
        # API server would take a write for none, and keep the version.
        now = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {"leaseDurationSeconds": ceil(LEASE_S), "renewTime": now}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.object} | ({"resourceVersion": known.version} if known else {}),
            "spec": spec | ({"holderIdentity": holder} if holder else {}),
        }
