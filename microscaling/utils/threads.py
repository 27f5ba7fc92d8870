"""The one kind of thread that this package starts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

log = logging.getLogger("mssutils")


class StoppableThread(threading.Thread):
    """A daemon thread with an Event to stop it, a fixed `run()`, and hooks for what it does.

    A subclass writes `cycle()`, which is called until `stop()`; every wait inside it must end when
    `stop()` is called: use `self.stopped.wait(seconds)`, or `self.rest(seconds)` for more than a few
    seconds, or override `stop()` to end another kind of wait as well. An exception that leaves
    `cycle()` ends the thread and is kept in `error`, for the main thread to find.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.stopped = threading.Event()
        self.error: BaseException | None = None
        self.over = False
        """It has run, and ended. For a moment of its start a thread has an `ident` and is not yet alive."""
        self.due = 0.0
        """When its present cycle began, or is to end its rest: time.monotonic() seconds. Long after that
        it stands still."""

    def stop(self) -> None:
        """Only flags: never blocks, may be called from any thread and more than once."""
        self.stopped.set()

    def cycle(self) -> None:
        """One round of work, waits included."""
        raise NotImplementedError  # pragma: no cover - subclasses must write it

    def rest(self, seconds: float) -> None:
        """Waits, unless it is stopped meanwhile; this is no standstill."""
        self.due = time.monotonic() + seconds
        self.stopped.wait(seconds)

    def on_exit(self) -> None:
        """Called in the thread, whatever ended it."""

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self.due = time.monotonic()
                self.cycle()
        except BaseException as error:
            self.error = error
            log.debug("thread %s died", self.name, exc_info=True)
        finally:
            try:
                self.on_exit()
            finally:
                self.over = True


def stop_all(threads: Iterable[StoppableThread], timeout_s: float) -> list[StoppableThread]:
    """Flag every thread, then join them in order under one deadline; returns those still alive."""
    threads = list(threads)
    for thread in threads:
        thread.stop()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        if thread.ident is not None and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
    return [t for t in threads if t.is_alive()]
