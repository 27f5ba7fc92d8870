"""The wait for the end of a process, or for an event to send."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterable

from microscaling.scheduler.process.unit import Unit

POLL_INTERVAL_S = 0.05
"""Polling interval for a process that is being stopped, or has no pidfd."""


def wait_for_news(wake: int, units: Iterable[Unit], most_s: float) -> None:
    """Waits at most `most_s` seconds; `wake` is a pipe that becomes readable when there is an event."""
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    now = time.monotonic()
    for process in units:
        family = process.family
        if family is None or process.over:
            continue
        fds = family.fds()
        if fds is None:
            most_s = min(most_s, POLL_INTERVAL_S if family.leader.child else 10 * POLL_INTERVAL_S)
        for fd in fds or ():
            poll.register(fd, select.POLLIN)
        if family.kill_at > now:
            most_s = min(most_s, family.kill_at - now)
    poll.poll(most_s * 1000.0)
    with contextlib.suppress(BlockingIOError):
        os.read(wake, 4096)
