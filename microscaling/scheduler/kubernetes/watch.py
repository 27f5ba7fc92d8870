"""Hears of every change of a deployment as soon as it is made."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from microscaling.clients.kubernetes.client import GONE, Kube, Refused, Watch
from microscaling.errors import MicroscalingError
from microscaling.scheduler.kubernetes.view import number
from microscaling.utils.backoff import Backoff
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssscheduler")

AGAIN_S, MAX_AGAIN_S = 0.1, 5.0
LASTS_S = 2.0
"""A watch that has been open so long was worth opening."""


class Watcher(StoppableThread):
    """Keeps a watch open, each from the version on that the last one had come to.

    It begins where `start_from` says, and when what follows is not kept any more (410 Gone) waits to be
    told anew. `on_change` gets every deployment that has changed, and whether it was deleted.
    """

    def __init__(self, kube: Kube, on_change: Callable[[Mapping[str, Any], bool], None]) -> None:
        super().__init__("mss-kubernetes-watch")
        self.kube = kube
        self.on_change = on_change
        self.is_open = False
        self.version = ""
        """How far it has come; empty: it does not know where to begin."""
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._backoff = Backoff(AGAIN_S, MAX_AGAIN_S, jitter=0.2)

    @property
    def position(self) -> int | None:
        """`version` as a number."""
        return number(self.version)

    def start_from(self, version: str) -> None:
        """The version of a listing, for one that does not know where to begin."""
        if not self.version:
            self.version = version
            self._wanted.set()

    def begin_anew(self) -> None:
        """Forgets how far it has come: waits for `start_from`."""
        with self._lock:
            self.version = ""
        self.end()

    def end(self) -> None:
        """Ends the watch that is open, if any: another one follows."""
        with self._lock:
            self.is_open = False
            if self._watch is not None:
                self._watch.end()

    def stop(self) -> None:
        super().stop()
        self._wanted.set()
        self.end()

    def cycle(self) -> None:
        if not self.version:
            self._wanted.wait()
            self._wanted.clear()
            return
        opened = time.monotonic()
        try:
            self._follow()
        except Refused as error:
            log.debug("the watch of the deployments has ended: %s", error)
            if error.status == GONE:
                self.version = ""
        except MicroscalingError as error:
            log.debug("the watch of the deployments has ended: %s", error)
        self.is_open = False
        if time.monotonic() - opened >= LASTS_S:
            self._backoff.reset()
        self.stopped.wait(self._backoff.next())

    def _follow(self) -> None:
        version = self.version
        watch = self.kube.watch(version)
        try:
            with self._lock:
                if self.stopped.is_set() or self.version != version:
                    return  # it was told to when there was nothing to end yet
                self._watch = watch
                self.is_open = True
            for kind, item in watch:
                self._hear(kind, item)
        finally:
            with self._lock:
                self._watch = None
            watch.close()

    def _hear(self, kind: str, item: Mapping[str, Any]) -> None:
        """Bookmarks only say how far it has come ("Kubernetes API Concepts", Watch bookmarks)."""
        about = item.get("metadata")
        version = str(about.get("resourceVersion") or "") if isinstance(about, dict) else ""
        if kind != "BOOKMARK":
            self.on_change(item, kind == "DELETED")
        with self._lock:
            if self.is_open and version:  # else it may have been told to begin anew
                self.version = version
