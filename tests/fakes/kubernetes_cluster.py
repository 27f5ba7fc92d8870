"""The deployments of a cluster: their versions, and a controller that makes replicas available.

From "Kubernetes API Concepts" (resource versions, watches, bookmarks, 410 Gone), "Deployments" and
"Deployment v1 apps" (what status holds; a field that is 0 is left out), and what a real API server of
Kubernetes 1.33 did: tests/scheduler/test_kubernetes_real.py asks both the same.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

Item = dict[str, Any]
STUCK = 10**9


def now_text() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Deployment:
    """One deployment; `limit` is the most of its replicas that ever become available."""

    def __init__(self, item: Item, limit: int) -> None:
        self.item = item
        self.limit = limit
        self.up: list[float] = []
        """When each replica is available, or will be."""

    @property
    def replicas(self) -> int:
        return int(self.item["spec"]["replicas"])

    def available(self, now: float) -> int:
        return min(self.limit, sum(up <= now for up in self.up))

    def status(self, now: float) -> Item:
        available = self.available(now)
        replicas = len(self.up)
        status = {
            "observedGeneration": self.item["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": available,
            "availableReplicas": available,
            "unavailableReplicas": replicas - available,
        }
        return {key: value for key, value in status.items() if value}


class Cluster:
    """Keeps every version of every deployment, for watches. Every method takes the lock."""

    def __init__(self, start_s: float = 0.05) -> None:
        self.start_s = start_s
        self.lock = threading.RLock()
        self.news = threading.Condition(self.lock)
        self.version = 100
        self.floor = 100
        """Changes up to this version are not kept any more."""
        self.history: list[tuple[int, str, Item]] = []
        self.deployments: dict[tuple[str, str], Deployment] = {}
        self.most_asked = 0
        self.closing = False

    # What people and controllers do to it

    def add(self, name: str, replicas: int = 0, namespace: str = "default", limit: int = STUCK) -> None:
        """Creates a deployment whose replicas are available at once."""
        about = {
            "name": name, "namespace": namespace, "uid": str(uuid.uuid4()), "resourceVersion": "",
            "generation": 1, "creationTimestamp": now_text(),
            "annotations": {"deployment.kubernetes.io/revision": "1"},
        }  # fmt: skip
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        with self.lock:
            made = Deployment({"metadata": about, "spec": spec, "status": {}}, limit)
            made.up = [0.0] * replicas
            self.deployments[namespace, name] = made
            made.item["status"] = made.status(time.monotonic())
            self._write("ADDED", made)

    def delete(self, name: str, namespace: str = "default") -> None:
        with self.lock:
            self._write("DELETED", self.deployments.pop((namespace, name)))

    def lose(self, name: str, namespace: str = "default") -> None:
        """A pod dies; the controller starts another one."""
        with self.lock:
            deployment = self.deployments[namespace, name]
            deployment.up = [*sorted(deployment.up)[1:], time.monotonic() + self.start_s]
            self.step()

    def scale(self, name: str, replicas: int, namespace: str = "default") -> Deployment:
        """Somebody sets the number of replicas. No change makes no new version."""
        with self.lock:
            deployment = self.deployments[namespace, name]
            if deployment.replicas != replicas:
                deployment.item["spec"]["replicas"] = replicas
                deployment.item["metadata"]["generation"] += 1
                self._write("MODIFIED", deployment)
            return deployment

    def compact(self) -> None:
        """Forgets the changes so far: a watch from before gets 410 Gone."""
        with self.lock:
            self.floor = self.version

    def restore(self, version: int) -> None:
        """As if from a backup of long ago: what is there was last changed then."""
        with self.lock:
            self.version = self.floor = version
            self.history = []
            for deployment in self.deployments.values():
                self._write("MODIFIED", deployment)

    def step(self) -> None:
        """What the deployment controller does in one round."""
        with self.lock:
            now = time.monotonic()
            for deployment in self.deployments.values():
                missing = deployment.replicas - len(deployment.up)
                deployment.up += [now + self.start_s] * missing
                deployment.up = sorted(deployment.up)[: deployment.replicas]
                status = deployment.status(now)
                if status != deployment.item["status"]:
                    deployment.item["status"] = status
                    self._write("MODIFIED", deployment)

    # What the API server asks

    def get(self, namespace: str, name: str) -> Item | None:
        with self.lock:
            found = self.deployments.get((namespace, name))
            return copy.deepcopy(found.item) if found else None

    def listed(self, namespace: str) -> tuple[list[Item], int]:
        """By name, as etcd keeps them."""
        with self.lock:
            names = sorted(name for space, name in self.deployments if space == namespace)
            return [self.get(namespace, name) or {} for name in names], self.version

    def after(self, version: int, namespace: str, until: float, wake: Callable[[], bool]) -> tuple[int, list]:
        """Waits for changes after a version; returns how far that is, and what changed."""
        with self.news:
            while self.version <= version and time.monotonic() < until and not wake() and not self.closing:
                self.news.wait(0.05)
            found = [
                (kind, item)
                for at, kind, item in self.history
                if at > version and item["metadata"]["namespace"] == namespace
            ]
            return max(version, self.version), found

    def close(self) -> None:
        with self.news:
            self.closing = True
            self.news.notify_all()

    def _write(self, kind: str, deployment: Deployment) -> None:
        self.version += 1
        deployment.item["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, kind, copy.deepcopy(deployment.item)))
        self.most_asked = max(self.most_asked, sum(each.replicas for each in self.deployments.values()))
        self.news.notify_all()
