"""The scheduler for containers: the threads between the reconciler and the backend."""

from __future__ import annotations

import logging
import threading
import time

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError, PermanentError, TemporaryError
from microscaling.scheduler.base import Scheduler
from microscaling.scheduler.containers.backend import Backend, BackendUnavailable, Event, Missing
from microscaling.scheduler.containers.container import Container, Operation, Work
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.orphans import Orphans
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from microscaling.scheduler.containers.supplies import Supplies
from microscaling.secrets.environment import secrets_in
from microscaling.secrets.masking import mask
from microscaling.utils.backoff import Backoff
from microscaling.utils.pool import Pool
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssscheduler")

LIST_EVERY_S = 5.0
LIST_SOON_S = 1.0
"""While the event stream lacks known changes."""
ASLEEP_S = 2.0
"""A longer pause between two counts means that the agent was suspended, or starved: events may be lost."""
READY_S = 3.0
STARTERS = 8
"""Threads that create and start: in a measurement 4 to 32 were equally fast."""
MAX_STOPPERS = 64
JOIN_S = 2.0
SUPPLY_JOIN_S = 0.2


class ContainerScheduler(Scheduler):
    """Runs the tasks' containers on one backend: a Docker engine, or this machine's processes."""

    def __init__(self, backend: Backend, stop_orphans: bool = False) -> None:
        self.backend = backend
        self.stop_orphans = stop_orphans
        self.tasks: Tasks | None = None
        self.reconciler: ContainerReconciler
        self.listing: Listing
        self.orphans: Orphans
        self.stream: _Stream | None = None
        self._starters = Pool("mss-start", STARTERS, self._carry_out)
        self._stoppers = Pool("mss-stop", 1, self._carry_out)
        self._supplies = Supplies(backend, self.on_supply)
        self._listed = 0.0
        self._counted = float("inf")
        self._reopening = False
        """The event stream is being closed by us, for a new one."""
        self._ended = float("inf")
        """Time of the end of the last event stream, monotonic seconds."""

    def init_scheduler(self, task: Task) -> None:
        """Prepares a task. Raises TemporaryError while the engine is away. A task that cannot run is only
        logged: it will back off, and the others go on."""
        try:
            self.backend.prepare(task)
        except Missing as error:
            self._supplies.miss(task, str(error))
        except PermanentError as error:
            log.error("%s: %s", task.name, error)

    def stop_start_tasks(self, tasks: Tasks) -> None:
        self._begin(tasks)
        with tasks:
            self.reconciler.acting = True
            self.reconciler.reconcile(time.monotonic())
            operations = self.reconciler.take()
        self._submit(operations)

    def count_all_tasks(self, tasks: Tasks) -> None:
        self._supplies.tick()
        self._begin(tasks)
        now = time.monotonic()
        with tasks:
            operations = self.reconciler.look_at_readings(now)
            broken = self.listing.stream_is_broken(now)
            due = self._listing_is_due(now)
            self._reopening = self._reopening or broken
        self._submit(operations)
        if broken:
            log.warning("the event stream of the %s is silent: connecting anew", self.backend.name)
            self.backend.unwatch()
        if due:
            self._list(tasks)

    def _listing_is_due(self, now: float) -> bool:
        asleep, self._counted = now - self._counted > ASLEEP_S, now
        if asleep:
            self.listing.missed()  # events may have been lost meanwhile
        age = now - self._listed
        late = age >= (LIST_SOON_S if self.listing.debt.start_unconfirmed else LIST_EVERY_S)
        closed = self.stream is not None and not self.stream.is_open
        return asleep or late or closed or self.reconciler.away or self.reconciler.in_doubt

    def next_retry(self) -> float | None:
        if self.tasks is None:
            return None
        with self.tasks:
            return self.reconciler.next_due()

    def drain(self, tasks: Tasks) -> None:
        self._begin(tasks)
        with tasks:
            self.reconciler.drain()
        super().drain(tasks)

    def leave(self, tasks: Tasks) -> None:
        if self.tasks is not None:
            with tasks:
                self.reconciler.leave()
            self.stop_start_tasks(tasks)

    def idle(self, tasks: Tasks) -> bool:
        with tasks:
            return self.tasks is None or self.reconciler.idle

    def left(self) -> list[str]:
        if self.tasks is None:
            return []
        with self.tasks:
            return [f"{c.task.name} {c.short_id} ({c.phase.value})" for c in self.reconciler.unfinished()]

    @property
    def threads(self) -> list[StoppableThread]:
        stream = [self.stream] if self.stream else []
        orphans = self.orphans.pool.threads if self.tasks is not None else []
        workers = [*self._starters.threads, *self._stoppers.threads, *self._supplies.threads]
        return [*stream, *workers, *orphans]

    def cleanup(self) -> None:
        """Stops all threads, and releases the backend."""
        # The stream goes first: its events could only cause more work.
        late: list[StoppableThread] = []
        if self.stream is not None:
            self.stream.stop()
            late += stop_all([self.stream], JOIN_S)
        self._supplies.stop(SUPPLY_JOIN_S)
        late += self._starters.stop(JOIN_S)
        late += self._stoppers.stop(JOIN_S)
        if self.tasks is not None:
            late += self.orphans.pool.stop(JOIN_S)
        if late:
            log.warning("still waiting for an answer: %s", ", ".join(thread.name for thread in late))
        self.backend.close()

    def on_event(self, event: Event) -> None:
        """Takes an event from the backend; called in the stream's thread."""
        assert self.tasks is not None
        with self.tasks:
            self.listing.heard(event.id, event.kind)
            self.reconciler.on_event(event, time.monotonic())
            # The end of an orphan frees a place under the cap, which a parked container may need.
            if event.kind in ("die", "destroy") and self.orphans.gone(event.id):
                self.reconciler.reconcile(time.monotonic())
            operations = self.reconciler.take()
        self._submit(operations)

    def on_supply(self, image: str) -> None:
        """Takes a missing image that is available again; called in a thread of the supplies."""
        if self.tasks is None:
            return
        with self.tasks:
            for task in self.tasks.tasks:
                if task.image == image:
                    self.reconciler.crash_backoffs.supplied(task)
            self.reconciler.reconcile(time.monotonic())
            operations = self.reconciler.take()
        self._submit(operations)

    def on_stream_open(self) -> None:
        """Requests a listing soon: the stream reports nothing from before its beginning."""
        assert self.tasks is not None
        with self.tasks:
            self.listing.reopened(self._ended, by_us=self._reopening)
            self._reopening = False
            self._listed = float("-inf")

    def on_stream_end(self, error: TemporaryError | None) -> None:
        """Requests listings: without the stream only these show changes."""
        assert self.tasks is not None
        with self.tasks:
            self._listed = float("-inf")
            self.reconciler.away = self.reconciler.away or isinstance(error, BackendUnavailable)
            self._ended = time.monotonic()

    def _begin(self, tasks: Tasks) -> None:
        """At the first call opens the event stream, then adopts the existing containers. Raises
        TemporaryError as long as the engine is away."""
        if self.tasks is None:
            self.reconciler = ContainerReconciler(tasks)
            self.listing = Listing(self.reconciler, self.backend.name)
            self.orphans = Orphans(self.backend, tasks, self.stop_orphans)
            self.backend.begin([task.name for task in tasks.tasks])
            # A stop blocks until the container has ended, so one thread for each that may have to.
            self._stoppers.size = max(1, min(tasks.max_containers, MAX_STOPPERS))
            self.tasks = tasks
        if self.stream is None:
            self.stream = _Stream(self)
            self.stream.start()
        if self.reconciler.unmanaged.adopted is None:
            self.stream.wait_open()
            self._list(tasks)

    def _list(self, tasks: Tasks) -> None:
        with tasks:
            asked = self.listing.ask()
        try:
            seen = self.backend.list()
        except BackendUnavailable:
            with tasks:
                self.reconciler.away = True
            raise
        orphans = self.orphans.look(seen)  # calls the backend, so without the lock
        now = time.monotonic()
        with tasks:
            reconciler = self.reconciler
            may_stop = reconciler.acting and not (
                reconciler.hold or reconciler.leaving or reconciler.draining
            )
            self.orphans.apply(orphans, may_stop, now)
            self.listing.apply(asked, seen, now)
            self._listed = now
            operations = self.reconciler.take()
        self._submit(operations)

    def _submit(self, operations: list[Operation]) -> None:
        """Hands the operations to the threads."""
        # Starts before creates and stops before removals: other containers wait for their places.
        for operation in operations:
            if operation.work in (Work.CREATE, Work.START):
                self._starters.submit(operation, rank=0 if operation.work is Work.START else 1)
            else:
                self._stoppers.submit(operation, rank=0 if operation.work is Work.STOP else 1)

    def _carry_out(self, operation: Operation) -> None:
        """Makes one call to the backend, in a thread of a pool."""
        assert self.tasks is not None
        with self.tasks:
            called_off = self.reconciler.call_off(operation, time.monotonic())
        id, error = "", None
        if not called_off:
            id, error = self._call(operation)
        with self.tasks:
            if not called_off:
                self.reconciler.on_done(operation, error, time.monotonic(), id)
            operations = self.reconciler.take()
        self._submit(operations)
        if isinstance(error, Missing):
            self._supplies.miss(operation.container.task, str(error))

    def _call(self, operation: Operation) -> tuple[str, Exception | None]:
        container = operation.container
        try:
            if operation.work is Work.CREATE:
                return self.backend.create(container.task, container.nonce), None
            if operation.work is Work.START:
                self.backend.start(container.id)
            elif operation.work is Work.STOP:
                self.backend.stop(container.id, container.task.container.stop_grace_s)
            else:
                self._log_last_words(container)
                self.backend.remove(container.id)
        except MicroscalingError as error:
            return "", error
        except Exception as error:  # would end the thread, and with it the agent
            log.exception("%s: %s %s", container.task.name, operation.work.value, container.short_id)
            return "", TemporaryError(str(error))  # the outcome is unknown
        return "", None

    def _log_last_words(self, container: Container) -> None:
        """Logs the last lines of a container that ended by itself, once."""
        if not container.unexpected_exit:
            return
        container.unexpected_exit = False  # a removal may be repeated
        words = mask(self.backend.last_log_lines(container.id), secrets_in(container.task.env)).strip()
        code = "?" if container.exit_code is None else container.exit_code
        noun = self.tasks.noun if self.tasks else "container"
        log.info("%s: %s %s: exit code %s, last lines: %s", container.task.name, noun, container.short_id,
                 code, words or "(none)")  # fmt: skip


class _Stream(StoppableThread):
    """Keeps the event stream open."""

    def __init__(self, scheduler: ContainerScheduler) -> None:
        super().__init__("mss-events")
        self.scheduler = scheduler
        self.backoff = Backoff(0.1, 2.0)
        self._open = threading.Event()
        self._news = threading.Event()
        self._error: TemporaryError | None = None

    @property
    def is_open(self) -> bool:
        """True while events come in."""
        return self._open.is_set()

    def wait_open(self) -> None:
        """Waits for the next attempt to open the stream; raises TemporaryError if it fails."""
        if not self.is_open:
            self._news.clear()
            self._news.wait(READY_S)
        if self.error is not None:
            raise self.error
        if not self.is_open:
            raise self._error or TemporaryError(f"no answer yet: {self.scheduler.backend.name}")

    def stop(self) -> None:
        super().stop()
        self.scheduler.backend.unwatch()

    def on_exit(self) -> None:
        self._news.set()

    def cycle(self) -> None:
        error: TemporaryError | None = None
        try:
            self.scheduler.backend.watch(self._opened, self.scheduler.on_event)
        except TemporaryError as caught:
            error = caught
        if self.stopped.is_set():
            return
        log.debug("the event stream has ended: %s", error or "closed")
        self._error = error
        self._open.clear()
        self._news.set()
        self.scheduler.on_stream_end(error)
        self.stopped.wait(self.backoff.next())

    def _opened(self) -> None:
        if self.stopped.is_set():  # `unwatch` came before there was a stream to close
            self.scheduler.backend.unwatch()
        self.backoff.reset()
        self.scheduler.on_stream_open()
        self._open.set()
        self._news.set()
