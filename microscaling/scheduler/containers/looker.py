"""The threads that look at containers, apart from those that start and stop them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from microscaling.demand.drain import Activity, Busy, Way
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError
from microscaling.scheduler.containers.backend import Backend, Unmatched
from microscaling.scheduler.containers.container import Container
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.containers.looks import Look
from microscaling.utils.pool import Pool
from microscaling.utils.threads import StoppableThread

log = logging.getLogger("mssscheduler")

LOOKERS = 16
"""Concurrent looks, so that some containers that do not answer delay no others."""
MAX_ASKED = 3
"""Containers of a task that are looked at for a warning."""
BY_CPU = Busy(Way.CPU, share=0.1)
"""The sign of a busy container of a task without one of its own."""
MOST_S = 0.5
"""Longest wait of the clock."""
AGAIN_S = 60.0
"""Another failure of the same task is not logged earlier."""
UNPROVEN_S = 60.0
"""A source that nobody asked for, and that does not answer for so long, holds nothing up."""
AS_BUSY = "it counts as busy"
AS_EVER = "the newest go first, as without a sign of it (busy: source makes it count as busy)"


class Looker:
    """Carries out looks; calls `done` with each result, in its threads.

    `tick` does what is due, and returns the time of the next look or drain (monotonic seconds).
    """

    def __init__(
        self,
        backend: Backend,
        done: Callable[[Look, Mapping[str, Activity]], None],
        tick: Callable[[], float | None],
    ) -> None:
        self.backend = backend
        self.pool = Pool("mss-look", LOOKERS, self._carry_out)
        self._done = done
        self._clock = _Clock(tick)
        self._lock = threading.Lock()
        self._said: dict[str, tuple[str, float]] = {}
        """By task, the last failure that was logged, and its time."""
        self._failing: dict[str, float] = {}
        """By task, the time of the first look of those that have failed in a row."""

    @property
    def threads(self) -> list[StoppableThread]:
        """The clock, once it is needed; the pool has its own."""
        return [self._clock] if self._clock.ident is not None else []

    def submit(self, looks: Iterable[Look]) -> None:
        """Begins looks, without waiting for them."""
        for look in looks:
            self.pool.submit(look)
            # Most agents never look, so it is started by the first.
            with self._lock:
                if self._clock.ident is None and not self._clock.stopped.is_set():
                    self._clock.start()
        # The clock waits for the time of the next look, which may be another one now.
        self._clock.news.set()

    def look(self, task: Task, busy: Busy, containers: Iterable[Container]) -> Mapping[str, Activity]:
        """Looks at containers of a task; returns the result by id. Blocks, and never raises."""
        ids = [container.id for container in containers]
        try:
            found = self.backend.look(task, busy, ids)
        except MicroscalingError as error:
            failing_s = self._failing_s(task)
            # Nobody asked for the word of this source, so it must not hold up what went well without it.
            if _unproven(busy) and (isinstance(error, Unmatched) or failing_s >= UNPROVEN_S):
                self._failed(task, f"{AS_EVER}: {error}")
                return dict.fromkeys(ids, Activity.UNSEEN)
            self._failed(task, f"{AS_BUSY}: {error}")
            return {}
        except Exception as error:  # would end the thread, and with it the agent
            log.exception("%s: looking at its containers", task.name)
            self._failed(task, f"{AS_BUSY}: {error!r}")
            return {}
        self._failing.pop(task.name, None)
        # Of one that has only just started nothing is expected yet.
        if _unproven(busy):
            found = {**dict.fromkeys(ids, Activity.UNSEEN), **found}
        # After a success, the next failure is news.
        if Activity.UNKNOWN not in found.values():
            self._said.pop(task.name, None)
        return found

    def at_work(self, tasks: Tasks, inventory: Inventory, name: str) -> int | None:
        """Returns how many of the first containers of a task are at work; None if that cannot be found out.
        Blocks, without the lock."""
        with tasks:
            up = [container for container in inventory.containers.get(name, ()) if container.is_up]
        if not up:
            return None
        task, ids = up[0].task, [container.id for container in up[:MAX_ASKED]]
        try:
            found = self.backend.look(task, task.busy or BY_CPU, ids)
        except Exception as error:  # nothing depends on it, and the other side may answer anything
            log.debug("%s: it is not known if its containers are at work: %s", task.name, error)
            return None
        return sum(activity is Activity.BUSY for activity in found.values())

    def _carry_out(self, look: Look) -> None:
        found = self.look(look.task, look.busy, look.containers)
        self._done(look, found)
        self._clock.news.set()

    def _failing_s(self, task: Task) -> float:
        """Returns for how many seconds no look at containers of the task has had an answer."""
        return time.monotonic() - self._failing.setdefault(task.name, time.monotonic())

    def _failed(self, task: Task, why: str) -> None:
        # The same failure comes with each look, twice a second, and may name other consumers each time.
        last, at = self._said.get(task.name, ("", float("-inf")))
        now = time.monotonic()
        # Where nobody has asked for it, once is enough.
        unasked = why.startswith(AS_EVER) and last.startswith(AS_EVER)
        if why != last and now - at >= AGAIN_S and not unasked:
            self._said[task.name] = why, now
            log.warning("%s: cannot tell if a container is busy, so %s", task.name, why)


def _unproven(busy: Busy) -> bool:
    """True if no key has asked for the source, and it has never shown a container of the task."""
    return busy.implied and busy.source is not None and not busy.source.matched


class _Clock(StoppableThread):
    """Begins the looks that are due."""

    def __init__(self, tick: Callable[[], float | None]) -> None:
        super().__init__("mss-looks")
        self.tick = tick
        self.news = threading.Event()

    def stop(self) -> None:
        super().stop()
        self.news.set()

    def cycle(self) -> None:
        self.news.clear()
        due = self.tick()
        left = MOST_S if due is None else min(MOST_S, due - time.monotonic())
        if left > 0:
            self.news.wait(left)
