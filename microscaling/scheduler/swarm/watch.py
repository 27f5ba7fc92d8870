"""The events of a swarm's services and nodes, which every manager reports."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from microscaling.clients.docker.client import connect
from microscaling.errors import UNEXPECTED, MicroscalingError
from microscaling.scheduler.docker.calls import CALL_TIMEOUT_S, asking, look_at_status, messages
from microscaling.utils.backoff import Backoff
from microscaling.utils.threads import StoppableThread

if TYPE_CHECKING:
    from docker.types.daemon import CancellableStream

log = logging.getLogger("mssscheduler")

RETRY_DELAY_S, MAX_RETRY_DELAY_S = 0.1, 5.0
LASTS_S = 2.0
"""A stream that was open for this long resets the retry delay."""

OnEvent = Callable[[str, str, str, Mapping[str, Any]], None]
"""Takes the kind ("service" or "node"), the action, the id, and the attributes."""


class Watcher(StoppableThread):
    """Keeps the event stream open. `engine` is what `connect` needs."""

    def __init__(
        self, engine: tuple[str, bool, str, str], on_open: Callable[[], None], on_event: OnEvent
    ) -> None:
        super().__init__("mss-swarm-events")
        self.engine = engine
        self.on_open = on_open
        self.on_event = on_event
        self.is_open = False
        self._stream: CancellableStream[Any] | None = None
        self._lock = threading.Lock()
        self._backoff = Backoff(RETRY_DELAY_S, MAX_RETRY_DELAY_S, jitter=0.2)

    def stop(self) -> None:
        super().stop()
        with self._lock:
            if self._stream is not None:
                try:
                    self._stream.close()
                except (OSError, AttributeError) as error:  # it has ended at the same moment
                    log.debug("closing the event stream: %s", error)

    def cycle(self) -> None:
        opened = time.monotonic()
        try:
            self._follow()
        except MicroscalingError as error:
            log.debug("the event stream of the swarm has ended: %s", error)
        self.is_open = False
        if time.monotonic() - opened >= LASTS_S:
            self._backoff.reset()
        self.stopped.wait(self._backoff.next())

    def _follow(self) -> None:
        host, tls_verify, cert_path, chosen = self.engine
        with asking():
            client = connect(host, tls_verify, cert_path, CALL_TIMEOUT_S, "", chosen)
        client.hooks["response"].append(look_at_status)
        try:
            with asking():
                stream = client.events(decode=True, filters={"type": ["service", "node"]})
            with self._lock:
                if self.stopped.is_set():
                    stream.close()
                    return
                self._stream = stream
            # Before the listing that this asks for, so that no change falls in between.
            self.is_open = True
            self.on_open()
            for event in messages(stream):
                self._hear(event)
        finally:
            with self._lock:
                left, self._stream = self._stream, None
            # An event whose service cannot be read leaves it open.
            with contextlib.suppress(OSError, AttributeError):
                if left is not None:
                    left.close()
            client.close()

    def _hear(self, event: Any) -> None:
        try:
            actor = event["Actor"]
            kind, action, id = str(event["Type"]), str(event["Action"]), str(actor["ID"])
            attributes = dict(actor.get("Attributes") or {})
        except UNEXPECTED as error:
            log.debug("not an event: %r", error)
            return
        # Some proxies ignore the filter.
        if kind in ("service", "node"):
            self.on_event(kind, action, id, attributes)
