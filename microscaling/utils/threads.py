"""The base class of the threads of this package."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

log = logging.getLogger("mssutils")


class StoppableThread(threading.Thread):
    """A daemon thread with an Event to stop it, a fixed `run()`, and hooks for the work.

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
        """True once `run()` has ended."""
        # `is_alive()` cannot replace it: at its start a thread has an `ident` for a moment and is not alive.
        self.due = 0.0
        """The begin of the present cycle, or the planned end of its rest, in time.monotonic() seconds. Long
        after that the thread counts as stalled."""

    def stop(self) -> None:
        """Requests the end, without blocking; may be called from any thread and more than once."""
        self.stopped.set()

    def cycle(self) -> None:
        """One round of work, waits included."""
        raise NotImplementedError  # pragma: no cover - subclasses must write it

    def rest(self, seconds: float) -> None:
        """Waits for `seconds` or until `stop()`, without counting as stalled."""
        self.due = time.monotonic() + seconds
        self.stopped.wait(seconds)

    def on_exit(self) -> None:
        """Hook for the end of the thread, called in it after `stop()` and after an exception."""

    def run(self) -> None:
        """Calls `cycle()` until `stop()`. Subclasses leave it as it is."""
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
    """Stops every thread, then joins them in order under one deadline. Returns those still alive."""
    threads = list(threads)
    # All are flagged before the first join, so that they end side by side.
    for thread in threads:
        thread.stop()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        if thread.ident is not None and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
    return [t for t in threads if t.is_alive()]
