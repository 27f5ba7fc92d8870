"""Signals as flags: a handler only sets one, because it can interrupt any line of the main thread."""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from microscaling.utils.flag import Flag

log = logging.getLogger("mssagent")

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
ONE_REQUEST_S = 0.2
"""Within this time the same signal again is the same request."""
AT_ONCE = b"microscaling: ended at once by a second signal; what runs stays as it is\n"
UNUSED = (signal.SIGUSR1, signal.SIGUSR2)
"""Signals without a meaning here."""
# They are caught, as by default they end the process without a shutdown, and its child processes live on.
_unheeded: queue.SimpleQueue[str] = queue.SimpleQueue()
"""Names of received signals without a meaning here, until `report_unheeded` logs them."""
# A SimpleQueue, because its `put` is reentrant and so may be called in a handler.


@contextmanager
def caught(stopping: Flag, reloading: threading.Event | None = None) -> Iterator[None]:
    """Inside, SIGTERM, SIGINT and SIGQUIT set the flag, and a second one of them ends the process at once
    with exit code 1; the same one again within 0.2 s counts as one.

    SIGHUP sets the flag if the process has a terminal, which is then gone; without one it sets `reloading`,
    or does nothing if there is none, as do SIGUSR1 and SIGUSR2. If the parent ignores these three, as nohup
    does SIGHUP, they stay ignored.
    In other threads than the main thread, and inside another `caught`, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread() or _is_caught():
        yield
        return
    handler = _Handler(stopping, reloading)
    hangup = signal.SIGHUP
    wanted = [*STOP, *(number for number in (hangup, *UNUSED) if signal.getsignal(number) != signal.SIG_IGN)]
    before = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def report_unheeded() -> None:
    """Logs the received signals that have no meaning here. To be called often, by the main thread."""
    while not _unheeded.empty():
        name = _unheeded.get()
        log.info("%s does nothing here; SIGTERM ends this process in good order", name)


class _Handler:
    def __init__(self, stopping: Flag, reloading: threading.Event | None) -> None:
        self.stopping = stopping
        self.reloading = reloading
        # Asked now: when the signal comes, the terminal is gone.
        self.has_terminal = _has_terminal()
        self.asked: tuple[int, float] | None = None
        """The first signal that asked for the end, and its time."""

    def __call__(self, number: int, frame: object) -> None:
        if number in STOP:
            now = time.monotonic()
            # timeout(1) sends its signal to the child and then to the child's group: that is one request.
            first, at = self.asked or (number, now)
            if number != first or now - at >= ONE_REQUEST_S:
                os.write(2, AT_ONCE)  # not by the log, whose lock this thread may hold
                os._exit(1)
            self.asked = first, at
            self.stopping.set()
        elif number == signal.SIGHUP and self.has_terminal:
            # Never a second one: shell and kernel both send it, and logind sends it beside SIGTERM.
            self.stopping.set()
        elif number == signal.SIGHUP and self.reloading is not None:
            # Only a thread of its own waits for it, so this one cannot hold its lock now.
            self.reloading.set()
        else:
            _unheeded.put(signal.Signals(number).name)


def _is_caught() -> bool:
    return isinstance(signal.getsignal(signal.SIGTERM), _Handler)


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal, also if its output goes elsewhere: see tty(4)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
