"""The scheduler for containers: the driver with a backend, its event stream and its listings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.drain import Activity
from microscaling.demand.shown import ContainerView
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
from microscaling.scheduler.containers.container import STARTS, URGENT, Operation, Work
from microscaling.scheduler.containers.drain_file import DrainFile, Kept
from microscaling.scheduler.containers.drains import WAIT_S
from microscaling.scheduler.containers.last_calls import CALLS, call, log_last_words
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.looker import Looker
from microscaling.scheduler.containers.looks import Look
from microscaling.scheduler.containers.orphans import Orphans
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from microscaling.scheduler.containers.stream import Stream
from microscaling.scheduler.containers.supplies import Supplies
from microscaling.scheduler.containers.updates import Updates, is_ready, stale_in
from microscaling.scheduler.containers.views import views
from microscaling.scheduler.driver import JOIN_S, Driver
from microscaling.utils.pool import Pool
from microscaling.utils.threads import StoppableThread, stop_all

log = logging.getLogger("mssscheduler")

LIST_EVERY_S, LIST_SOON_S = 5.0, 1.0
"""Seconds between two listings; the second while the event stream lacks known changes."""
ASLEEP_S = 2.0
"""A longer pause between two counts means that the agent was suspended, or starved: events may be lost."""
STARTERS = 8
"""Threads that create and start: in a measurement 4 to 32 were equally fast."""
MAX_STOPPERS = 64
NAMERS = 4
"""Threads that give and take names: one exchange at a time, beside looks whether containers are ready."""
SUPPLY_JOIN_S = 0.2
END_S = 5.0
"""At the end of the agent the last stops begin so long before MSS_EXIT_TIMEOUT_S."""


class ContainerScheduler(Driver[ContainerReconciler, Operation]):
    """Runs the tasks' containers on one backend: a Docker engine, or this machine's processes."""

    takes_changes = True
    max_warm_bytes = float("inf")
    """Memory of all warm containers, at most."""

    def __init__(
        self, backend: Backend, stop_orphans: bool = False, exit_timeout_s: float = float("inf")
    ) -> None:
        super().__init__(backend.close)
        self.backend = backend
        self.stop_orphans = stop_orphans
        self.exit_timeout_s = exit_timeout_s
        self.listing: Listing
        self.orphans: Orphans
        self.updates: Updates
        self._epoch = 0
        """The number of changes of the configuration: a listing from before one knows other orphans."""
        self._leaving: frozenset[str] = frozenset()
        """Names of tasks whose running containers are no longer theirs."""
        self.stream: Stream | None = None
        self._starters = Pool("mss-start", STARTERS, self._carry_out)
        self._stoppers = Pool("mss-stop", 1, self._carry_out)
        self._namers = Pool("mss-name", NAMERS, self._carry_out)
        self._looker = Looker(backend, self._looked, self._tick)
        self.pools = [self._starters, self._stoppers, self._namers, self._looker.pool]
        self._supplies = Supplies(backend, self.on_supply, is_open=False)
        self._drain_file: DrainFile
        self._keeping, self._naming = threading.Lock(), threading.Lock()
        self._kept: dict[str, Kept] = {}
        self._is_news = False
        """The drains are others than those in the file."""
        self._ending = threading.Event()
        """Ends the waits of the threads."""
        self._listed, self._counted = 0.0, float("inf")
        self._reopening = False
        """The event stream is being closed by us, for a new one."""
        self._ended = float("inf")
        """Time of the end of the last event stream, monotonic seconds."""

    def init_scheduler(self, task: Task) -> None:
        """Prepares a task. Raises TemporaryError while the engine is away. A task that cannot run is only
        logged: it will back off, and the others go on."""
        pulls = self.backend.refreshes(task)
        try:
            self.backend.prepare(task)
        except Missing as error:
            self._supplies.miss(task, str(error), logging.INFO if pulls else logging.ERROR)
        except PermanentError as error:
            log.error("%s: %s", task.name, error)
        else:
            if pulls:
                self._supplies.refresh(task)

    def count_all_tasks(self, tasks: Tasks) -> None:
        self._begin(tasks)
        self._supplies.tick()
        with self._change() as now:
            self.reconciler.look_at_readings(now)
            if self._replaces(now):
                self.updates.look(now)
                self.reconciler.reconcile(now)
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
            known = self.reconciler.by_name.get(task.name)
            if known is None or not task.version or known.version != task.version:
                self.init_scheduler(task)
        unmanaged, has = self.reconciler.unmanaged, self.reconciler.has
        with self._change():
            names, before = {task.name for task in change.tasks}, self._leaving
            unmanaged.arriving = frozenset(name for name in names if not has(name))
            self._leaving = (before | change.left) - names
        try:
            # Before the change, so that nothing is decided about tasks whose containers are unknown.
            asked, seen = self._look()
        except TemporaryError:
            unmanaged.arriving, self._leaving = frozenset(), before
            raise
        orphans = self.orphans.look(seen)  # calls the backend, so without the lock
        with self._change() as now:
            self._epoch += 1
            versions = self.reconciler.roster.versions()
            limits.reconfigure(tasks, change)
            self._stoppers.size = max(1, min(tasks.max_containers, MAX_STOPPERS))
            self.reconciler.roster.take(change, lambda container: self.backend.is_others(container.id))
            self.reconciler.roster.renew(versions)
            # Before anything is planned: those that are left behind keep their places under the cap.
            self.orphans.apply(orphans, False, now, self.reconciler.by_id)
            self._taken_over(change, now)
            self.listing.apply(asked, seen, now)
            self._listed = float("-inf")  # it may be older than the stream, which told nothing of new tasks

    def restart(self, tasks: Tasks, name: str) -> int:
        self._begin(tasks)
        with self._change():
            return self.updates.restart(name)

    def _replaces(self, now: float) -> bool:
        rec = self.reconciler
        return rec.acting and not (rec.hold or rec.leaving or rec.draining)

    def _taken_over(self, change: Change, now: float) -> None:
        """Hook for a change of the configuration, called with the lock held, before anything is done."""

    def _listing_is_due(self, now: float) -> bool:
        asleep, self._counted = now - self._counted > ASLEEP_S, now
        if asleep:
            self.listing.missed()  # events may have been lost meanwhile
        age = now - self._listed
        soon = self.listing.debt.start_unconfirmed or self.updates.rolling
        late = age >= (LIST_SOON_S if soon else LIST_EVERY_S)
        closed = self.stream is not None and not self.stream.is_open
        owes = self.backend.owes_networks
        return asleep or late or closed or owes or self.reconciler.away or self.reconciler.in_doubt

    def halt(self, tasks: Tasks) -> None:
        super().leave(tasks)

    @property
    def threads(self) -> list[StoppableThread]:
        stream = [self.stream] if self.stream else []
        return [*stream, *super().threads, *self._supplies.threads, *self._looker.threads]

    def _stop_threads(self) -> list[StoppableThread]:
        self._ending.set()
        # The stream goes first: its events could only cause more work.
        late = stop_all([*([self.stream] if self.stream else []), *self._looker.threads], JOIN_S)
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
        reconciler, backend = ContainerReconciler(tasks), self.backend
        reconciler.limits_tasks, reconciler.thaw_is_go = backend.limits_tasks, backend.thaw_is_go
        reconciler.pool.max_bytes = self.max_warm_bytes
        reconciler.refreshed_by = self._supplies.refreshed_by
        reconciler.unmanaged.adopts = reconciler.ends.shared = self.backend.others_create
        reconciler.drains.end_s = max(0.0, self.exit_timeout_s - min(END_S, self.exit_timeout_s / 2))
        tasks.containers, tasks.seen = self._views, lambda name: self._views(name, look=False)
        self.listing = Listing(reconciler, self.backend.name)
        self.orphans = Orphans(self.backend, tasks, self.stop_orphans)
        self.pools = [self._starters, self._stoppers, self._namers, self._looker.pool, self.orphans.pool]
        reconciler.is_others = self.backend.is_others
        self.backend.begin(list(reconciler.by_name))
        reconciler.keeps_outdated = True
        self.updates = Updates(reconciler, lambda: stale_in(reconciler), lambda id: is_ready(reconciler, id))
        self.updates.backoff_of = reconciler.crash_backoffs.of
        self._drain_file = DrainFile(self.backend.drain_file())
        reconciler.kept = self._drain_file.read(self.clock())
        reconciler.knows_frozen = self._drain_file.found
        # A stop blocks until the container has ended, so one thread for each that may have to.
        self._stoppers.size = max(1, min(tasks.max_containers, MAX_STOPPERS))
        return reconciler

    def _adopt(self) -> None:
        # The stream first: it reports what happens after the listing.
        if self.stream is None:
            self.stream = Stream(self.backend, self.on_event, self.on_stream_open, self.on_stream_end)
            self.stream.start()
        self.stream.wait_open()
        self._list()
        self._supplies.open()

    def _look(self) -> tuple[int, list[ListedContainer]]:
        """Returns a listing, with the generation at its request."""
        # Before the request: all that changes from here on is newer than the listing.
        with self._naming:
            with self._change():
                asked, arriving = self.listing.ask(), self.reconciler.unmanaged.arriving
                names = arriving.union(self.reconciler.by_name) - self._leaving
                before, self.orphans.names = self.orphans.names, names
            if names != before:  # without the lock of the tasks, as a file may be written
                self.backend.begin(sorted(names))
        try:
            return asked, self.backend.list()
        except BackendUnavailable:
            with self._change():
                self.reconciler.away = True
            raise

    def _list(self) -> None:
        epoch = self._epoch
        asked, seen = self._look()
        orphans = self.orphans.look(seen)  # calls the backend, so without the lock
        with self._change() as now:
            self._before_listing(now)
            if epoch == self._epoch:
                self.orphans.apply(orphans, self._replaces(now), now, self.reconciler.by_id)
            self.listing.apply(asked, seen, now)
            self._listed = now
            # An empty file means, for the next agent, that a paused container was paused by others.
            self._is_news |= self.reconciler.freezer.is_used and not self._drain_file.found

    def _before_listing(self, now: float) -> None:
        """Hook for a listing that has had no effect yet, called with the lock held."""

    def _submit(self, operation: Operation) -> None:
        # Starts before creates and stops before removals: other containers wait for their places.
        if operation.work in (Work.LIST, Work.UNLIST, Work.READY, Work.WEIGH):
            pool = self._namers
        else:
            pool = self._starters if operation.work in STARTS else self._stoppers
        pool.submit(operation, rank=0 if operation.work in URGENT else 1)

    @contextmanager
    def _change(self) -> Iterator[float]:
        with super()._change() as now:
            yield now
            looks = self.reconciler.looks.due(now)
            kept = self.reconciler.drains.kept()
            self._is_news, self._kept = self._is_news or kept != self._kept, kept
        if looks:
            self._looker.submit(looks)

    def _planned(self) -> None:
        # Before a container is quieted: the agent may be killed in between. Another thread may be writing it.
        with self._keeping:
            if not self._is_news:
                return
            self._is_news = False  # before the look: a change meanwhile is written by the next call
            assert self.tasks is not None
            with self.tasks:
                now, kept = self.clock(), self.reconciler.drains.kept()
            self._drain_file.write(kept, now)

    def _views(self, name: str, look: bool = True) -> list[ContainerView]:
        """Returns the containers of a task, for people; the caller holds the lock."""
        now = self.clock()
        if look:
            self.reconciler.looks.show(name, now)
        return views(self.reconciler, name, now, self.reconciler.drains.deadline)

    def at_work(self, name: str) -> int | None:
        return None if self.tasks is None else self._looker.at_work(self.tasks, self.reconciler, name)

    def _looked(self, look: Look, found: Mapping[str, Activity]) -> None:
        with self._change() as now:
            self.reconciler.looks.take(look, found, now)
            if look.task.name in self.reconciler.by_name:
                self.reconciler.reconcile_task(look.task, now)

    def _tick(self) -> float | None:
        """Plans the stops and looks that are due; returns the time of the next."""
        with self._change() as now:
            self.reconciler.reconcile(now)
            drains = min((at for at in self.reconciler.drains.times() if at > now), default=None)
        # Only now: the change above has begun the looks that were due.
        looks = self.reconciler.looks.next_due()
        return min((at for at in (drains, looks) if at is not None), default=None)

    def _called_off(self, operation: Operation) -> bool:
        container, reconciler = operation.container, self.reconciler
        busy, stops = container.task.busy, operation.work in (Work.STOP, Work.FREEZE)
        second = reconciler.drains.second_look(container) if stops else None
        if busy is not None and second is not None:
            self._ending.wait(min(WAIT_S, max(0.0, second - self.clock())))
            asked = self.clock()
            # Right before the signal, as a job may have begun since the last look.
            found = self._looker.look(container.task, busy, [container])
            activity = found.get(container.id, Activity.UNKNOWN)
            with self._change() as now:
                called_off = reconciler.drains.last_look(container, activity, asked)
                if called_off:
                    reconciler.reconcile_task(container.task, now)
                return called_off
        with self._change() as now:
            return reconciler.call_off(operation, now)

    def _call(self, operation: Operation) -> str:
        container = operation.container
        assert self.tasks is not None
        if operation.work is Work.CREATE:
            with self.tasks:  # a copy, as a reload may change it in the midst of the call
                task = replace(container.task)
                container.version = task.version
            return self.backend.create(task, container.nonce)
        if operation.work is Work.START:
            self.backend.start(container.id)
        elif operation.work is Work.STOP:
            self.backend.stop(container.id, container.task.container.stop_grace_s)
        elif operation.work in CALLS:
            return call(self.backend, operation)
        elif operation.work is Work.LIST:
            up_s, again = self.reconciler.names.waited(container, self.clock())
            return self.backend.give_name(container.task, container.id, up_s, again)
        elif operation.work is Work.UNLIST:
            self.backend.take_name(container.task, container.id)
        else:
            log_last_words(self.backend, container, self.tasks)
            self.backend.remove(container.id)
        return ""

    def _named(self, operation: Operation) -> tuple[str, str]:
        return operation.container.task.name, operation.work.name.lower()

    def _done(self, operation: Operation, id: str, error: MicroscalingError | None) -> None:
        with self._change() as now:
            self.reconciler.on_done(operation, error, now, id)
        if isinstance(error, Missing):
            self._supplies.miss(operation.container.task, str(error))
