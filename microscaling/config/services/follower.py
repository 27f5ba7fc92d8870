"""The thread that follows the services while the agent runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from microscaling.demand.change import Change
from microscaling.errors import PermanentError, TemporaryError
from microscaling.utils.failure_log import FailureLog
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssconfig")

EVERY_S = 5.0
"""Seconds between two looks without a sign of a change."""
COALESCE_S = 0.1
"""Seconds from a sign to the look: one command makes many containers."""
RETRY_S = 1.0


class Services(Protocol):
    """The services that can be read again."""

    def look(self, take: Callable[[Change], None]) -> None:
        """Passes on the changes since the last look."""

    def close(self) -> None:
        """Closes the connection."""


class Follower(StoppableThread):
    """Reads the services again after each sign of a change, and now and then without one. While they cannot
    be read, everything stays as it is."""

    def __init__(self, services: Services, stale: threading.Event, take: Callable[[Change], None]) -> None:
        super().__init__("mss-services")
        self.services = services
        self.stale = stale
        self.take = take
        self.failure_log = FailureLog()
        stale.set()  # they may have changed since the start

    def stop(self) -> None:
        super().stop()
        self.stale.set()

    def cycle(self) -> None:
        if self.stale.wait(EVERY_S):
            self.stopped.wait(COALESCE_S)
        if self.stopped.is_set():
            return
        self.stale.clear()  # before the look, so that a sign in its midst leads to another one
        try:
            self.services.look(self.take)
        except (PermanentError, TemporaryError) as error:
            if self.failure_log.failed(time.monotonic(), str(error)):
                log.warning("the services cannot be read, so all stay as they are: %s; trying again", error)
            self.stopped.wait(RETRY_S)
            self.stale.set()
        else:
            if self.failure_log.recovered():
                log.info("the services can be read again")

    def on_exit(self) -> None:
        self.services.close()
