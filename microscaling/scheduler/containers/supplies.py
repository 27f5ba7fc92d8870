"""Missing images, looked for again in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from microscaling.demand.task import Task
from microscaling.errors import MicroscalingError
from microscaling.scheduler.containers.backend import Backend, BackendUnavailable
from microscaling.utils.backoff import Backoff
from microscaling.utils.pool import Pool
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssscheduler")

FIRST_S, MAX_S = 1.0, 60.0
SUPPLIERS = 4
"""Concurrent pulls, so that a registry that hangs does not delay the others."""
LASTS_S = 60.0
"""An image that is missing again within this time keeps its retry delay."""


@dataclass(eq=False, slots=True)
class Lack:
    """One missing image, and the tasks that wait for it."""

    task: Task
    """One of these tasks, for the backend."""
    waiting: set[str] = field(default_factory=set)
    """Names of the tasks; empty if the image is available."""
    busy: bool = False
    due: float = 0.0
    """Time of the next attempt, monotonic seconds."""
    had: float = float("-inf")
    """The last time it became available, monotonic seconds."""
    said: str = ""
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_S, MAX_S))


class Supplies:
    """Asks the backend for each missing image, at once and then with back-off, until it is available; then
    calls `there` with the image's name. Thread-safe."""

    def __init__(self, backend: Backend, there: Callable[[str], None]) -> None:
        self._backend = backend
        self._there = there
        self._lock = threading.Lock()
        self._lacks: dict[str, Lack] = {}
        self._pool = Pool("mss-supply", SUPPLIERS, self._try)

    @property
    def threads(self) -> list[StoppableThread]:
        """The threads needed so far."""
        return self._pool.threads

    def stop(self, timeout_s: float) -> None:
        """Stops the threads."""
        # No container depends on an attempt under way, so it may be abandoned.
        for late in self._pool.stop(timeout_s):
            log.debug("%s still waits for an answer", late.name)

    def miss(self, task: Task, why: str) -> None:
        """Notes that the image of this task is missing; logged once for each task."""
        now = time.monotonic()
        with self._lock:
            lack = self._lacks.setdefault(task.image, Lack(task))
            if not lack.waiting:
                # An image that disappears again and again is not pulled without a pause.
                if now - lack.had >= LASTS_S:
                    lack.backoff.reset()
                    lack.due = now
                else:
                    lack.due = now + lack.backoff.next()
            first = task.name not in lack.waiting
            lack.waiting.add(task.name)
        if first:
            log.error("%s: %s", task.name, why)
        self.tick()

    def tick(self) -> None:
        """Starts the attempts that are due; to be called often."""
        now = time.monotonic()
        with self._lock:
            due = [
                lack for lack in self._lacks.values() if lack.waiting and not lack.busy and now >= lack.due
            ]
            for lack in due:
                lack.busy = True
        for lack in due:
            self._pool.submit(lack)

    def _try(self, lack: Lack) -> None:
        """Makes one attempt, in a thread of the pool."""
        try:
            self._backend.supply(lack.task)
        except MicroscalingError as error:
            self._failed(lack, "" if isinstance(error, BackendUnavailable) else str(error))
        except Exception as error:  # would end the thread, and with it the agent
            log.exception("%s: looking for image %s", lack.task.name, lack.task.image)
            self._failed(lack, repr(error))
        else:
            with self._lock:
                waiting = sorted(lack.waiting)
                lack.waiting.clear()
                lack.busy, lack.said, lack.had = False, "", time.monotonic()
            log.info("image %s is available: %s can run", lack.task.image, ", ".join(waiting))
            self._there(lack.task.image)  # without our lock, as it takes the lock of the tasks

    def _failed(self, lack: Lack, why: str) -> None:
        """Plans the next attempt; logs the cause if it is new."""
        with self._lock:
            lack.busy = False
            lack.due = time.monotonic() + lack.backoff.next()
            news = why not in ("", lack.said)
            lack.said = why or lack.said
        if news:
            log.warning("could not pull %s: %s; trying again", lack.task.image, why)
