"""A watch of the deployments of a namespace: reports each change at once."""

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

RETRY_DELAY_S, MAX_RETRY_DELAY_S = 0.1, 5.0
LASTS_S = 2.0
"""A watch that was open for this long resets the retry delay."""


class Watcher(StoppableThread):
    """Keeps a watch open, and resumes each from the version of the last one.

    It begins at the version given to `start_from`, and waits for a new one when the versions after its own
    are no longer available (410 Gone). `on_change` gets every changed deployment, and True if it was deleted.
    """

    def __init__(self, kube: Kube, on_change: Callable[[Mapping[str, Any], bool], None]) -> None:
        super().__init__("mss-kubernetes-watch")
        self.kube = kube
        self.on_change = on_change
        self.is_open = False
        self.version = ""
        """The last version seen; empty before `start_from`."""
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._backoff = Backoff(RETRY_DELAY_S, MAX_RETRY_DELAY_S, jitter=0.2)

    @property
    def position(self) -> int | None:
        """`version` as a number."""
        return number(self.version)

    def start_from(self, version: str) -> None:
        """Sets the version of a listing as the beginning, if there is none."""
        if not self.version:
            self.version = version
            self._wanted.set()

    def begin_anew(self) -> None:
        """Drops the version: the watch begins again at the next `start_from`."""
        with self._lock:
            self.version = ""
        self.end()

    def end(self) -> None:
        """Closes the open watch, if any; another one follows."""
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
                    return  # stop() or begin_anew() came before there was a watch to end
                self._watch = watch
                self.is_open = True
            for kind, item in watch:
                self._hear(kind, item)
        finally:
            with self._lock:
                self._watch = None
            watch.close()

    def _hear(self, kind: str, item: Mapping[str, Any]) -> None:
        """Passes on one change and notes its version."""
        about = item.get("metadata")
        version = str(about.get("resourceVersion") or "") if isinstance(about, dict) else ""
        # Bookmarks have a version only ("Kubernetes API Concepts", Watch bookmarks).
        if kind != "BOOKMARK":
            self.on_change(item, kind == "DELETED")
        with self._lock:
            if self.is_open and version:  # a watch that was ended may belong to a dropped version
                self.version = version
