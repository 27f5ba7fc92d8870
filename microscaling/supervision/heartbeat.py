"""Telling whoever supervises this process how it is: by the health file, and systemd."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from microscaling.supervision.health import HealthFile, Report, stalled
from microscaling.supervision.systemd import SystemdNotifier
from microscaling.utils.process import start_time

TELL_EVERY_S = 1.0
PINGS = 3
"""How often the watchdog is told that all is well in the time within which it must be."""
STARTING, RUNNING, STOPPING = "starting", "running", "stopping"
WORDS = {RUNNING: "READY", STOPPING: "STOPPING"}
"""What systemd is told when the process comes to be so."""


class Heartbeat:
    """What the main thread tells, once a second. With neither a file nor a socket it does nothing.

    The watchdog hears nothing more as soon as a loop stands still.
    """

    def __init__(self, file: HealthFile | None = None, notifier: SystemdNotifier | None = None) -> None:
        self.file = file
        self.notifier = notifier or SystemdNotifier()
        self._every_s = min(TELL_EVERY_S, (self.notifier.watchdog_s or TELL_EVERY_S * PINGS) / PINGS)
        self._pid = os.getpid()
        self._started = start_time(self._pid) or ""
        self._told = float("-inf")
        self._state = self._says = ""

    def tell(self, state: str, says: Callable[[], str], loops: Mapping[str, float] | None = None) -> None:
        """Called often: tells at once what state is new, else every now and then."""
        now = time.monotonic()
        if state == self._state and now - self._told < self._every_s:
            return
        words = {WORDS[state]: "1"} if state != self._state and state in WORDS else {}
        text, loops = says(), loops or {}
        if text != self._says:
            words["STATUS"] = text
        if self.notifier.watchdog_s and not stalled(loops, now):
            words["WATCHDOG"] = "1"
        self._state, self._says, self._told = state, text, now
        if words:
            self.notifier.send(**words)
        if self.file is not None:
            self.file.write(Report(self._pid, self._started, state, text, now, dict(loops)))

    def close(self) -> None:
        """At the end of the process."""
        if self.file is not None:
            self.file.remove()
