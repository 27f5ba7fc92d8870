"""Images that are missing, or may be old, fetched side by side in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
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
REFRESH_S = 5.0
"""For so long (seconds) the newest image of a task is waited for, if there is one that may be old."""
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
    is_here: bool = False
    """An image is there, which may be an old one."""
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_S, MAX_S))


class Supplies:
    """Asks the backend for each missing image, at once and then with back-off, until it is available; then
    calls `there` with the image's name. Images that are there are refreshed once. Thread-safe."""

    def __init__(self, backend: Backend, there: Callable[[str], None], is_open: bool = True) -> None:
        self._backend = backend
        self._there = there
        self._lock = threading.Lock()
        self._lacks: dict[str, Lack] = {}
        self._refreshing: dict[str, Lack] = {}
        self._until: Mapping[str, float] = {}
        self._is_open = is_open
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

    def open(self) -> None:
        """Begins; called once the containers that run already are adopted, so that no pull is in front."""
        with self._lock:
            self._is_open = True
        self.tick()

    def refresh(self, task: Task) -> None:
        """Notes that the image of this task may be an old one; asked once for all its tasks."""
        with self._lock:
            self._refreshing.setdefault(task.image, Lack(task, is_here=True))
            # A new one, as it is read without our lock.
            self._until = {**self._until, task.image: time.monotonic() + REFRESH_S}
        self.tick()

    def refreshed_by(self) -> Mapping[str, float]:
        """Returns, by image, the time until which a newer one is waited for (monotonic seconds)."""
        return self._until

    def miss(self, task: Task, why: str, level: int = logging.ERROR) -> None:
        """Notes that the image of this task is missing; logged once for each task, at this level."""
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
            log.log(level, "%s: %s", task.name, why)
        self.tick()

    def tick(self) -> None:
        """Starts the attempts that are due; to be called often."""
        now = time.monotonic()
        with self._lock:
            if not self._is_open:
                return
            # The quick ones first: mostly there is nothing new.
            due = [lack for lack in self._refreshing.values() if not lack.busy]
            due += [
                lack for lack in self._lacks.values() if lack.waiting and not lack.busy and now >= lack.due
            ]
            for lack in due:
                lack.busy = True
        for lack in due:
            self._pool.submit(lack)

    def _try(self, lack: Lack) -> None:
        """Makes one attempt, in a thread of the pool."""
        if lack.is_here:
            self._refresh(lack)
            return
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

    def _refresh(self, lack: Lack) -> None:
        try:
            self._backend.refresh(lack.task)
        except MicroscalingError as error:
            log.debug("%s: %s", lack.task.image, error)
        except Exception:  # would end the thread, and with it the agent
            log.exception("%s: refreshing image %s", lack.task.name, lack.task.image)
        with self._lock:
            self._refreshing.pop(lack.task.image, None)
            self._until = {image: at for image, at in self._until.items() if image != lack.task.image}
        self._there(lack.task.image)

    def _failed(self, lack: Lack, why: str) -> None:
        """Plans the next attempt; logs the cause if it is new."""
        with self._lock:
            lack.busy = False
            lack.due = time.monotonic() + lack.backoff.next()
            news = why not in ("", lack.said)
            lack.said = why or lack.said
        if news:
            log.warning("could not pull %s: %s; trying again", lack.task.image, why)
