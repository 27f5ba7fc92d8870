"""The heartbeat of this process for its supervisors: the health file, and systemd."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence

from microscaling.errors import TemporaryError
from microscaling.supervision.health import HealthFile, Report, stalled
from microscaling.supervision.systemd import SystemdNotifier
from microscaling.utils.process import start_time

TELL_EVERY_S = 1.0
PINGS = 3
"""Pings per period of the watchdog."""
STARTING, RUNNING, STOPPING = "starting", "running", "stopping"
WORDS = {RUNNING: "READY", STOPPING: "STOPPING"}
"""Messages to systemd at the change to a state: see sd_notify(3)."""


class Heartbeat:
    """Reports of the main thread, once a second or more often. Without file and socket it does nothing."""

    def __init__(self, file: HealthFile | None = None, notifier: SystemdNotifier | None = None) -> None:
        self.file = file
        self.notifier = notifier or SystemdNotifier()
        self._every_s = min(TELL_EVERY_S, (self.notifier.watchdog_s or TELL_EVERY_S * PINGS) / PINGS)
        self._pid = os.getpid()
        self._started = ""
        with contextlib.suppress(TemporaryError):
            self._started = start_time(self._pid) or ""
        self._told = float("-inf")
        self._state = self._says = ""

    def tell(
        self,
        state: str,
        says: Callable[[], str],
        loops: Mapping[str, float] | None = None,
        tasks: Callable[[], Sequence[tuple[str, float | None]]] = tuple,
    ) -> None:
        """Reports a new state at once, and the same one at most once per interval; to be called often.
        `tasks` has a line for each task, and the time of its reading."""
        now = time.monotonic()
        if state == self._state and now - self._told < self._every_s:
            return
        words = {WORDS[state]: "1"} if state != self._state and state in WORDS else {}
        text, loops = says(), loops or {}
        if text != self._says:
            words["STATUS"] = text
        # Without pings systemd restarts the process, which is the remedy for a stalled loop.
        if self.notifier.watchdog_s and not stalled(loops, now):
            words["WATCHDOG"] = "1"
        self._state, self._says, self._told = state, text, now
        if words:
            self.notifier.send(**words)
        if self.file is not None:
            self.file.write(Report(self._pid, self._started, state, text, now, dict(loops), tasks()))

    def close(self) -> None:
        """Removes the health file, at the end of the process."""
        if self.file is not None:
            self.file.remove()
