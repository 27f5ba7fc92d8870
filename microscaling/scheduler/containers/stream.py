"""The thread of a backend's event stream."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from microscaling.errors import TemporaryError
from microscaling.scheduler.containers.backend import Backend, Event
from microscaling.utils.backoff import Backoff
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssscheduler")

READY_S = 3.0


class Stream(StoppableThread):
    """Keeps the event stream open. `on_open` and `on_end` are called in its thread, the latter with the error
    that has ended the stream; None: it was closed."""

    def __init__(
        self,
        backend: Backend,
        on_event: Callable[[Event], None],
        on_open: Callable[[], None],
        on_end: Callable[[TemporaryError | None], None],
    ) -> None:
        super().__init__("mss-events")
        self.backend = backend
        self.on_event, self.on_open, self.on_end = on_event, on_open, on_end
        self.backoff = Backoff(0.1, 2.0)
        self._open = threading.Event()
        self._news = threading.Event()
        self._error: TemporaryError | None = None

    @property
    def is_open(self) -> bool:
        """True while events come in."""
        return self._open.is_set()

    def wait_open(self) -> None:
        """Waits for the next attempt to open the stream; raises TemporaryError if it fails."""
        if not self.is_open:
            self._news.clear()
            self._news.wait(READY_S)
        if self.error is not None:
            raise self.error
        if not self.is_open:
            raise self._error or TemporaryError(f"no answer yet: {self.backend.name}")

    def stop(self) -> None:
        super().stop()
        self.backend.unwatch()

    def on_exit(self) -> None:
        self._news.set()

    def cycle(self) -> None:
        error: TemporaryError | None = None
        try:
            self.backend.watch(self._opened, self.on_event)
        except TemporaryError as caught:
            error = caught
        if self.stopped.is_set():
            return
        log.debug("the event stream has ended: %s", error or "closed")
        self._error = error
        self._open.clear()
        self._news.set()
        self.on_end(error)
        self.stopped.wait(self.backoff.next())

    def _opened(self) -> None:
        if self.stopped.is_set():  # `unwatch` came before there was a stream to close
            self.backend.unwatch()
        self.backoff.reset()
        self.on_open()
        self._open.set()
        self._news.set()
