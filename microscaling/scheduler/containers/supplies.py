"""Images that were missing when a container was to be made of them: had again in the background."""

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
"""Images that are pulled at a time: a registry that hangs does not delay the others."""
LASTS_S = 60.0
"""An image that is missing again within this time after it was there is waited for as if it had not been."""


@dataclass(eq=False, slots=True)
class Lack:
    """One image, and the tasks that wait for it."""

    task: Task
    """One of them, for the backend."""
    waiting: set[str] = field(default_factory=set)
    """Names of the tasks; empty: the image is there."""
    busy: bool = False
    due: float = 0.0
    """When to look for it again, monotonic seconds."""
    had: float = float("-inf")
    """When it was last there again, monotonic seconds."""
    said: str = ""
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_S, MAX_S))


class Supplies:
    """Asks the backend for each missing image, at once and then with back-off, until it is there; then
    `there` is called with the image's name. Thread-safe."""

    def __init__(self, backend: Backend, there: Callable[[str], None]) -> None:
        self._backend = backend
        self._there = there
        self._lock = threading.Lock()
        self._lacks: dict[str, Lack] = {}
        self._pool = Pool("mss-supply", SUPPLIERS, self._try)

    @property
    def threads(self) -> list[StoppableThread]:
        """Those that were needed so far."""
        return self._pool.threads

    def stop(self, timeout_s: float) -> None:
        """Waits no longer for what is under way: nothing depends on it any more."""
        for late in self._pool.stop(timeout_s):
            log.debug("%s still waits for an answer", late.name)

    def miss(self, task: Task, why: str) -> None:
        """The image of this task is not there: said once a task, until it is."""
        now = time.monotonic()
        with self._lock:
            lack = self._lacks.setdefault(task.image, Lack(task))
            if not lack.waiting:
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
        """Looks for what is due. To be called often."""
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
        """In a thread of the pool."""
        try:
            self._backend.supply(lack.task)
        except MicroscalingError as error:
            self._failed(lack, "" if isinstance(error, BackendUnavailable) else str(error))
        except Exception as error:
            log.exception("%s: looking for image %s", lack.task.name, lack.task.image)
            self._failed(lack, repr(error))
        else:
            with self._lock:
                waiting = sorted(lack.waiting)
                lack.waiting.clear()
                lack.busy, lack.said, lack.had = False, "", time.monotonic()
            log.info("image %s is there: %s can run", lack.task.image, ", ".join(waiting))
            self._there(lack.task.image)

    def _failed(self, lack: Lack, why: str) -> None:
        """Said again only if the cause is another one."""
        with self._lock:
            lack.busy = False
            lack.due = time.monotonic() + lack.backoff.next()
            news = why not in ("", lack.said)
            lack.said = why or lack.said
        if news:
            log.warning("could not pull %s: %s; trying again", lack.task.image, why)
