"""Kubernetes: a task is the deployment of its name, and its demand is the deployment's scale."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from microscaling.clients.kubernetes.client import CALL_S, Kube, Refused
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.kubernetes.view import View, older
from microscaling.scheduler.kubernetes.watch import Watcher
from microscaling.scheduler.replicas.orchestrator import Conflict, Found, Orchestrator
from microscaling.utils.text import quoted
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssscheduler")

LIST_EVERY_S = 10.0
"""Interval of listings while the watch is open; without a watch there is one at every count."""
BEHIND_S = 2.0
"""A watch that lacks a known change for so long is dead, even if it looks open."""
JOIN_S = 0.5
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
MAX_NAME = 253
NOT_ACCEPTED = (401, 409, 429)
"""Statuses of temporary refusals: credentials that may be renewed, a conflict, too many requests."""
HOPELESS = (401, 403, 404)
"""Statuses of permanent refusals of a listing: credentials, rights, unknown resource."""


class KubernetesOrchestrator(Orchestrator):
    """The deployments of one namespace.

    `spec.replicas` is the requested number, `status.availableReplicas` the running one. A watch reports
    changes as they happen; while it is open, listings are rare and only a safeguard against missed changes.
    """

    what = "deployment"

    def __init__(self, kube: Kube, clock: Callable[[], float] = time.monotonic) -> None:
        self.kube = kube
        self.clock = clock
        self.name = f"namespace {kube.namespace} of Kubernetes at {kube.address}"
        self.watcher: Watcher | None = None
        self._heard: Callable[[Mapping[str, Found]], None] = lambda found: None
        self._view = View()
        # Held while a change is passed on, so that a newer one cannot overtake it.
        self._lock = threading.Lock()
        self._list_at = float("-inf")
        self._behind_since: float | None = None

    def prepare(self, task: Task) -> None:
        """Checks the name ("Object Names and IDs", DNS Subdomain Names)."""
        if len(task.name) > MAX_NAME or not NAME.fullmatch(task.name):
            raise PermanentError(
                f"{quoted(task.name)} cannot be the name of a deployment: name the app as its deployment, "
                "in lower case letters, digits, - and ."
            )

    def read(self, names: Sequence[str]) -> Mapping[str, Found]:
        with self._lock:
            same = self._view.names == frozenset(names)
            self._view.names = frozenset(names)
        if not same or self._must_list():  # a new name may be in no listing yet
            self._list()
        with self._lock:
            return self._view.found(names)

    def scale(self, name: str, instances: int) -> None:
        try:
            scale = self.kube.scale(name, instances, self.answered_by(CALL_S))
        except Refused as error:
            if error.status in NOT_ACCEPTED:
                raise Conflict(str(error), error.delay_s) from None
            raise
        except TemporaryError:
            self._list_at = float("-inf")  # only a listing shows whether it was carried out
            raise
        with self.kube.errors(), self._lock:
            self._view.scaled(scale)

    def watch(self, heard: Callable[[Mapping[str, Found]], None]) -> None:
        self._heard = heard
        self.watcher = Watcher(self.kube, self._on_change)
        self.watcher.start()

    def list_anew(self) -> None:
        self._list_at = float("-inf")

    @property
    def threads(self) -> list[StoppableThread]:
        return [self.watcher] if self.watcher else []

    def close(self) -> None:
        if stop_all(self.threads, JOIN_S):
            log.warning("the watch of the deployments does not end")
        self.kube.close()

    def _must_list(self) -> bool:
        now = self.clock()
        if self.watcher is None or not self.watcher.is_open or now >= self._list_at:
            return True
        with self._lock:
            behind = older(self.watcher.position, self._view.newest)
        if not behind:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        elif now - self._behind_since >= BEHIND_S:
            log.warning("the watch of the deployments is silent: connecting anew")
            self._behind_since = None
            self.watcher.end()
        return behind and not self.watcher.is_open

    def _list(self) -> None:
        with self._lock:
            newest_before = self._view.newest
        try:
            items, version = self.kube.deployments()
        except Refused as error:
            if error.status in HOPELESS:
                raise
            raise TemporaryError(str(error), error.delay_s) from None
        with self.kube.errors(), self._lock:
            turned_back = self._view.listed(items, version, newest_before)
        self._list_at = self.clock() + LIST_EVERY_S
        if self.watcher is not None:
            if turned_back:
                log.warning("%s: its versions have gone back, as after a restore: listing anew", self.name)
                self.watcher.begin_anew()
            self.watcher.start_from(version)

    def _on_change(self, item: Mapping[str, Any], deleted: bool) -> None:
        with self._lock:
            with self.kube.errors():
                name = self._view.changed(item, deleted)
            if name:
                self._heard(self._view.found([name]))
