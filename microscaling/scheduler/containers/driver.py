"""The scheduler for containers: the driver with a backend, its event stream and its listings."""

from __future__ import annotations

import logging
import threading

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import MicroscalingError, PermanentError, TemporaryError
from microscaling.scheduler.containers.backend import (
    Backend,
    BackendUnavailable,
    Event,
    ListedContainer,
    Missing,
)
from microscaling.scheduler.containers.container import Container, Operation, Work
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.orphans import Orphans
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from microscaling.scheduler.containers.supplies import Supplies
from microscaling.scheduler.containers.views import views
from microscaling.scheduler.driver import JOIN_S, Driver
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
SUPPLY_JOIN_S = 0.2


class ContainerScheduler(Driver[ContainerReconciler, Operation]):
    """Runs the tasks' containers on one backend: a Docker engine, or this machine's processes."""

    def __init__(self, backend: Backend, stop_orphans: bool = False) -> None:
        super().__init__(backend.close)
        self.backend = backend
        self.stop_orphans = stop_orphans
        self.listing: Listing
        self.orphans: Orphans
        self.stream: _Stream | None = None
        self._starters = Pool("mss-start", STARTERS, self._carry_out)
        self._stoppers = Pool("mss-stop", 1, self._carry_out)
        self.pools = [self._starters, self._stoppers]
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

    def count_all_tasks(self, tasks: Tasks) -> None:
        self._supplies.tick()
        self._begin(tasks)
        with self._change() as now:
            self.reconciler.look_at_readings(now)
            broken = self.listing.stream_is_broken(now)
            due = self._listing_is_due(now)
            self._reopening = self._reopening or broken
        if broken:
            log.warning("the event stream of the %s is silent: connecting anew", self.backend.name)
            self.backend.unwatch()
        if due:
            self._list()

    def change_tasks(self, tasks: Tasks, change: Change) -> None:
        self._begin(tasks)
        for task in change.tasks:
            self.init_scheduler(task)
        unmanaged, has = self.reconciler.unmanaged, self.reconciler.has
        with self._change():
            unmanaged.arriving = frozenset(task.name for task in change.tasks if not has(task.name))
        try:
            # Before the change, so that nothing is decided about tasks whose containers are unknown.
            asked, seen = self._look()
        except TemporaryError:
            unmanaged.arriving = frozenset()
            raise
        with self._change() as now:
            limits.reconfigure(tasks, change)
            self.reconciler.roster.take(change, lambda container: self.backend.is_others(container.id))
            self._taken_over(change, now)
            self.listing.apply(asked, seen, now)
            self._listed = float("-inf")  # it may be older than the stream, which told nothing of new tasks

    def _taken_over(self, change: Change, now: float) -> None:
        """Hook for a change of the configuration, called with the lock held, before anything is done."""

    def _listing_is_due(self, now: float) -> bool:
        asleep, self._counted = now - self._counted > ASLEEP_S, now
        if asleep:
            self.listing.missed()  # events may have been lost meanwhile
        age = now - self._listed
        late = age >= (LIST_SOON_S if self.listing.debt.start_unconfirmed else LIST_EVERY_S)
        closed = self.stream is not None and not self.stream.is_open
        return asleep or late or closed or self.reconciler.away or self.reconciler.in_doubt

    def halt(self, tasks: Tasks) -> None:
        super().leave(tasks)

    @property
    def threads(self) -> list[StoppableThread]:
        stream = [self.stream] if self.stream else []
        return [*stream, *super().threads, *self._supplies.threads]

    def _stop_threads(self) -> list[StoppableThread]:
        # The stream goes first: its events could only cause more work.
        late = stop_all([self.stream] if self.stream else [], JOIN_S)
        self._supplies.stop(SUPPLY_JOIN_S)
        return late + super()._stop_threads()

    def on_event(self, event: Event) -> None:
        """Takes an event from the backend; called in the stream's thread."""
        with self._change() as now:
            self.listing.heard(event.id, event.kind)
            self.reconciler.on_event(event, now)
            # The end of an orphan frees a place under the cap, which a parked container may need.
            if event.kind in ("die", "destroy") and self.orphans.gone(event.id):
                self.reconciler.reconcile(now)

    def on_supply(self, image: str) -> None:
        """Takes a missing image that is available again; called in a thread of the supplies."""
        if self.tasks is None:
            return
        with self._change() as now:
            for task in self.tasks.tasks:
                if task.image == image:
                    self.reconciler.crash_backoffs.supplied(task)
            self.reconciler.reconcile(now)

    def on_stream_open(self) -> None:
        """Requests a listing soon: the stream reports nothing from before its beginning."""
        with self._change():
            self.listing.reopened(self._ended, by_us=self._reopening)
            self._reopening = False
            self._listed = float("-inf")

    def on_stream_end(self, error: TemporaryError | None) -> None:
        """Requests listings: without the stream only these show changes."""
        with self._change() as now:
            self._listed = float("-inf")
            self.reconciler.away = self.reconciler.away or isinstance(error, BackendUnavailable)
            self._ended = now

    def _make(self, tasks: Tasks) -> ContainerReconciler:
        reconciler = ContainerReconciler(tasks)
        reconciler.limits_tasks = self.backend.limits_tasks
        reconciler.unmanaged.adopts = reconciler.ends.shared = self.backend.others_create
        tasks.containers = lambda name: views(reconciler, name, self.clock())
        self.listing = Listing(reconciler, self.backend.name)
        self.orphans = Orphans(self.backend, tasks, self.stop_orphans)
        self.pools = [self._starters, self._stoppers, self.orphans.pool]
        self.backend.begin(list(reconciler.by_name))
        # A stop blocks until the container has ended, so one thread for each that may have to.
        self._stoppers.size = max(1, min(tasks.max_containers, MAX_STOPPERS))
        return reconciler

    def _adopt(self) -> None:
        # The stream first: it reports what happens after the listing.
        if self.stream is None:
            self.stream = _Stream(self)
            self.stream.start()
        self.stream.wait_open()
        self._list()

    def _look(self) -> tuple[int, list[ListedContainer]]:
        """Returns a listing, with the generation at its request."""
        # Before the request: all that changes from here on is newer than the listing.
        with self._change():
            asked = self.listing.ask()
            names = self.reconciler.unmanaged.arriving.union(self.reconciler.by_name)
            if names != self.orphans.names:
                self.orphans.names = names
                self.backend.begin(sorted(names))
        try:
            return asked, self.backend.list()
        except BackendUnavailable:
            with self._change():
                self.reconciler.away = True
            raise

    def _list(self) -> None:
        asked, seen = self._look()
        orphans = self.orphans.look(seen)  # calls the backend, so without the lock
        with self._change() as now:
            self._before_listing(now)
            reconciler = self.reconciler
            ends = reconciler.hold or reconciler.leaving or reconciler.draining
            self.orphans.apply(orphans, reconciler.acting and not ends, now)
            self.listing.apply(asked, seen, now)
            self._listed = now

    def _before_listing(self, now: float) -> None:
        """Hook for a listing that has come and has had no effect yet, called with the lock held."""

    def _submit(self, operation: Operation) -> None:
        # Starts before creates and stops before removals: other containers wait for their places.
        pool = self._starters if operation.work in (Work.CREATE, Work.START) else self._stoppers
        pool.submit(operation, rank=0 if operation.work in (Work.START, Work.STOP) else 1)

    def _called_off(self, operation: Operation) -> bool:
        with self._change() as now:
            return self.reconciler.call_off(operation, now)

    def _call(self, operation: Operation) -> str:
        container = operation.container
        if operation.work is Work.CREATE:
            return self.backend.create(container.task, container.nonce)
        if operation.work is Work.START:
            self.backend.start(container.id)
        elif operation.work is Work.STOP:
            self.backend.stop(container.id, container.task.container.stop_grace_s)
        else:
            self._log_last_words(container)
            self.backend.remove(container.id)
        return ""

    def _done(self, operation: Operation, id: str, error: MicroscalingError | None) -> None:
        with self._change() as now:
            self.reconciler.on_done(operation, error, now, id)
        if isinstance(error, Missing):
            self._supplies.miss(operation.container.task, str(error))

    def _log_last_words(self, container: Container) -> None:
        """Logs the last lines of a container that ended by itself, once."""
        if not container.unexpected_exit:
            return
        container.unexpected_exit = False  # a removal may be repeated
        words = mask(self.backend.last_log_lines(container.id), secrets_in(container.task.env)).strip()
        failure = container.task.failure
        if self.tasks and failure and failure.exit_code == container.exit_code:
            with self.tasks:
                failure.lines = words
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
