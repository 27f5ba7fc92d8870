"""The reconciler: compares the containers with the demand, and plans the operations between the two.

No I/O, no clock, no threads: the caller holds the lock of `Tasks`, reports events with their times, and
carries out the operations from `take()`.
"""

from __future__ import annotations

import itertools
import logging

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError
from microscaling.scheduler.containers.backend import BackendUnavailable, Event, Missing
from microscaling.scheduler.containers.container import (
    ACTIVE,
    STILL,
    WORK_FOR,
    Container,
    Operation,
    Phase,
    Work,
)
from microscaling.scheduler.containers.counts import Counts
from microscaling.scheduler.containers.crash_backoffs import CrashBackoffs
from microscaling.scheduler.containers.drains import Drains
from microscaling.scheduler.containers.ends import Ends
from microscaling.scheduler.containers.failures import Failures
from microscaling.scheduler.containers.freezer import Freezer
from microscaling.scheduler.containers.inventory import Inventory
from microscaling.scheduler.containers.looks import Looks
from microscaling.scheduler.containers.names import Names
from microscaling.scheduler.containers.paused import Paused
from microscaling.scheduler.containers.roster import Roster
from microscaling.scheduler.containers.unmanaged import UnmanagedContainers
from microscaling.scheduler.containers.warm_pool import WarmPool

log = logging.getLogger("mssscheduler")


class ContainerReconciler(Inventory):
    """Every container of ours on one engine, level-triggered.

    Always: (1) The running containers never exceed `Tasks.max_containers`: a created one waits, parked, until
    the end of a running one is known. (2) `requested` is counted from the containers. (3) After an operation
    without an answer, a container is left alone until a listing has shown it.
    """

    def __init__(self, tasks: Tasks) -> None:
        super().__init__(tasks)
        self.counts = Counts(self)
        self.crash_backoffs = CrashBackoffs(self, self.counts.occupied)
        self.ends = Ends(self, self.crash_backoffs)
        self.failures = Failures(self, self.ends)
        self.roster = Roster(self, self.counts, self.crash_backoffs, self.ends)
        self.paused = Paused(self)
        self.freezer = Freezer(self, self.paused)
        self.drains = Drains(self)
        self.looks = Looks(self, self.drains)
        self.names = Names(self, self.drains)
        self.pool = WarmPool(self)
        self.unmanaged = UnmanagedContainers(self, self.freezer)
        self._reconciled_at = 0.0
        """Time of the last `reconcile`, monotonic seconds; everything due by then is done."""
        self._operations: list[Operation] = []

    # Decisions

    def reconcile(self, now: float) -> None:
        """Plans everything in which demand and the containers differ. May be called at any time."""
        self._reconciled_at = now
        self.books.review(now)
        self.free_places(now)
        self.ends.observe(now)
        self.crash_backoffs.check(now)
        self.drains.observe(now)
        self.freezer.observe(now, self.drains.end_by)
        self.pool.observe(now)
        for task in self.by_name.values():
            self.reconcile_task(task, now)
        self.roster.clear_up()
        self.start_parked(now)

    def look_at_readings(self, now: float) -> None:
        """Plans the starts that need not wait any longer, as there is work for them."""
        if self.ends.observe(now):
            self.reconcile(now)

    def reconcile_task(self, task: Task, now: float) -> None:
        """Plans one task's operations, without the starts of parked containers."""
        self.keep_outdated(task)
        restless = self.books.restless(task.name)
        want = self._want(task)
        missing = want - self.books.resting(task.name) - sum(c.wanted for c in restless)
        if missing > 0:  # what is about to come back is not replaced
            missing = max(0, missing - sum(c.may_return for c in restless))
        if missing < 0:
            wanted = [c for c in self.containers[task.name] if c.wanted]
            for container in self.names.choose(task, wanted, -missing):
                container.unwanted = not self.pool.keeps(container)
        elif missing > 0 and not self.leaving:
            self._add(task, missing, now)
            self.ends.pace(task, now)
        if missing <= 0:
            self.ends.settled(task)
        self.paused.give(task, want)
        self.drains.exchange(task)
        for container in self.books.restless(task.name):
            self._next_step(container, now)
        self.counts.write(task, now)
        self.drains.write(task)

    def start_parked(self, now: float) -> None:
        """Starts created containers, the most important task's first, as far as the cap has room."""
        if not self.acting or self.away or self.leaving or self.hold:
            return
        able = (c for c in self.restless() if c.is_parked and now >= c.not_before)
        parked = [c for c in able if not self.is_quiet(c, now)]
        parked.sort(key=lambda c: (c.task.priority, c.order))
        room, started = self.room(), set()
        for container in parked:
            if room > 0 and self.has_room(container.task):
                cold = container.phase is Phase.CHOSEN
                container.phase = Phase.THAWING if cold else Phase.STARTING
                self._next_step(container, now)
                started.add(container.task)
                room -= 1
        for container in itertools.chain(self.freezer.ends(now, room), self.pool.plan(now)):
            self._next_step(container, now)
        for task in started:
            self.counts.write(task, now)

    def take(self) -> list[Operation]:
        """Returns the operations to carry out now, each once."""
        operations, self._operations = self._operations, []
        return operations

    @property
    def adopted(self) -> bool:
        """True after the first listing."""
        return self.unmanaged.adopted is not None

    @property
    def hold(self) -> bool:
        """A second agent is active on this engine: no start and no stop."""
        return bool(self.unmanaged.foreign) and not self.draining and not self.leaving

    def next_due(self) -> float | None:
        """Returns the time at which `reconcile` has work without an event (monotonic seconds). A past time
        stays until `reconcile` was called."""
        ends = self.drains.times(), self.names.times(), self.freezer.times(), self.pool.times()
        delayed = (c.not_before for c in self.restless())
        quiet = itertools.chain(self.quiet.values(), self.refreshed_by().values())
        times = itertools.chain(delayed, quiet, self.crash_backoffs.times(), *ends)
        return min((time for time in times if time > self._reconciled_at), default=None)

    def drain(self) -> None:
        """Sets the demand of all tasks to 0, for good."""
        self.draining = self.acting = True
        self.leaving = False
        self.ends.remove_now()

    def leave(self) -> None:
        """From now on nothing is created or started, and containers that were not started are removed."""
        self.leaving = self.acting = True
        self.ends.remove_now()
        self.names.leave()
        for container in self.restless():
            if container.phase in (Phase.CREATING, Phase.CREATED):
                container.unwanted = True

    def on_event(self, event: Event, now: float) -> None:
        """Takes an event of the engine. Unknown ids, repeated and late events are normal."""
        container = self.find(event.id, event.nonce) if event.task in self.by_name else None
        if container is None and not self.has(event.task):  # an orphan's, which the driver reports to Orphans
            if event.task in self.unmanaged.arriving:
                self.unmanaged.on_event(event, now)
            return
        if event.kind == "kill":
            if container is not None and event.asks_to_end(container.task):
                container.signalled = True
            return
        if event.kind in ("pause", "unpause") and container is None:
            return
        if container is None:
            self.unmanaged.on_event(event, now)
            if self.unmanaged.adopts and self.adopted:
                self.reconcile_task(self.by_name[event.task], now)
            return
        if not container.id:
            self.bind(container, event.id)
        self.touch(container)
        if event.kind == "start":
            container.heard = True
            if container.phase in (Phase.CREATED, Phase.STARTING) or container.restarting:
                self.started(container, now)
        elif event.kind in ("pause", "unpause"):
            self.freezer.note(container, event.kind == "pause", now)
        elif event.kind == "die":
            code = "" if event.exit_code is None else f" with code {event.exit_code}"
            container.exit_code = event.exit_code
            if event.foreign:
                self.stopped_by_others(container, event.returns, now)
            if event.restarts:
                self.drains.begins_anew(container)
                self.ends.restarts(container, f"exited{code}", now, now)
            else:
                self.ended(container, f"exited{code}", now)
        elif event.kind == "destroy":
            container.signalled = True  # killed by the removal, so it has not failed
            self.ended(container, "was removed from outside", now)
            self.forget(container)
        self.reconcile_task(container.task, now)
        self.start_parked(now)

    def on_done(self, operation: Operation, error: Exception | None, now: float, id: str = "") -> None:
        """Takes the result of an operation; `id` is the result of a successful create, or an address."""
        container = operation.container
        container.busy = False
        if isinstance(error, BackendUnavailable):
            self.away = True
        if not self._known(container):
            return
        self.touch(container)
        if operation.work in (Work.QUIET, Work.RESUME):
            self.drains.on_done(operation, error, now)
        elif operation.work in (Work.LIST, Work.UNLIST):
            self.names.on_done(operation, error, now, id)
        elif operation.work in (Work.READY, Work.GO, Work.WEIGH):
            self.pool.on_done(operation, error, now, id)
        elif error is not None and operation.work in (Work.FREEZE, Work.THAW):
            self.freezer.failed(operation, error, now)
        elif error is None:
            self.answered = now
            container.failures = 0
            self._succeeded(operation.work, container, now, id)
        elif isinstance(error, PermanentError) and operation.work in (Work.CREATE, Work.START):
            self._refused(operation.work, container, error, now)
        elif container.phase is not Phase.EXITED:
            self.failures.take(operation, error, now)
        self.reconcile_task(container.task, now)
        self.start_parked(now)

    def call_off(self, operation: Operation, now: float) -> bool:
        """Cancels an operation that is no longer wanted. Returns True if it must not be made."""
        container = operation.container
        # It is thawed to be stopped, or may have been thawed already.
        ends = operation.work is Work.THAW and (container.spent or container.thaw_unconfirmed)
        if ends or not operation.is_needless:
            self.freezer.is_made(operation, now)
            return False
        container.busy = False
        if operation.work is Work.START and container.phase is Phase.STARTING:
            container.phase, container.may_run = Phase.CREATED, False
        self.freezer.called_off(operation)
        self.pool.called_off(operation)
        if container.task.name in self.by_name:
            self.reconcile_task(container.task, now)
        self.start_parked(now)
        return True

    def started(self, container: Container, now: float) -> None:
        """Marks a container as running."""
        if container.restarting:
            self.crash_backoffs.of(container.task.name).tried()
            self.pool.begins_anew(container)
        container.phase = Phase.RUNNING
        container.restarting = container.may_return = container.unknown = False
        container.may_run = True
        container.started = container.seen = now
        container.stable = False

    def ended(self, container: Container, how: str, now: float, alive: float | None = None) -> None:
        """Marks a container as exited, and judges the end if it was unexpected. `alive`: the time at which it
        was last known to run (monotonic seconds), None: now."""
        container.may_run = container.start_unconfirmed or container.may_return
        container.unknown = False
        if container.phase in (Phase.EXITED, Phase.REMOVING):
            return
        running = container.phase in (Phase.STARTING, Phase.RUNNING) and not container.unwanted
        if running and not container.restarting:  # otherwise its end has been judged
            self.ends.judge(container, how, now if alive is None else alive, now)
        else:
            self.ends.remove_later(container, now)
        self.freezer.ended(container, how)
        container.phase = Phase.EXITED
        container.unwanted = True
        container.paused = container.restarting = False
        container.drain = container.quieted = None

    def _want(self, task: Task) -> int:
        """Returns how many containers a task should have now: its demand, limited by a back-off."""
        if self.draining or task.name in self.departing:
            return 0
        if task.backing_off:
            self.crash_backoffs.apply(task)
        return 0 if task.name in self.resting else max(0, task.demand)

    def _add(self, task: Task, missing: int, now: float) -> None:
        """Keeps containers that were about to go, then creates new ones."""
        mine = self.books.restless(task.name)
        back = [c for c in mine if c.unwanted and not c.outdated and c.phase in ACTIVE]
        back.sort(key=lambda c: (c.phase is not Phase.RUNNING, c.order))
        for container in back:
            if not missing or not self.drains.can_call_off(container):
                continue
            self.drains.call_off(container)
            missing -= 1
            container.warm = False
            if task.backing_off and container.phase is Phase.RUNNING:
                # It is the probe now. One that has long been stable would prove nothing, and the back-off
                # would never end.
                container.started, container.stable = now, False
        missing -= self.freezer.choose(task, missing)
        for _ in range(missing - self.pool.give(task, missing)):
            self.new(task)

    def _next_step(self, container: Container, now: float) -> None:
        """Plans the next operation of one container, if there is one and it is allowed."""
        held = container.busy or container.unknown or not self.acting or self.hold
        if held or self.is_quiet(container, now) or self.rests(container):
            return
        if self.leaving and container.phase is Phase.STARTING:  # without an answer, and not started
            container.unwanted = True
        if work := self.pool.next_call(container, now):
            self._plan(work, container, now)
            return
        if container.phase in STILL:
            self.freezer.next_step(container)
            return
        if container.warm and container.phase is Phase.RUNNING and not container.unwanted:
            return
        self.drains.keep_or_give_up(container)
        container.freezes = container.phase is Phase.RUNNING and self.freezer.may_freeze(container)
        phase = container.phase
        if container.unwanted and phase is Phase.CREATING:
            self.forget(container)
            return
        fresh = container.unwanted and container.is_fresh
        if phase is Phase.RUNNING and not (fresh or container.refused) and self._drains(container, now):
            return
        if container.unwanted and phase is not Phase.THAWING:
            by_force = fresh or (self.draining and container.refused)
            stops = phase in (Phase.RUNNING, Phase.STOPPING) and not by_force
            ends = Phase.FREEZING if self.freezer.may_freeze(container) else Phase.STOPPING
            phase = ends if stops else Phase.REMOVING
        if phase not in WORK_FOR or self.away or now < container.not_before:
            return
        if phase is Phase.CREATING and now < self.refreshed_by().get(container.task.image, now):
            return
        container.phase = phase
        container.may_run = container.may_run or phase is Phase.STARTING
        if phase is Phase.CREATING:
            self.ends.begins(container)
        self._plan(WORK_FOR[phase], container, now)

    def _plan(self, work: Work, container: Container, now: float) -> None:
        self.freezer.begins(container, now)
        container.busy = True
        container.asked = now
        self.touch(container)
        self._operations.append(Operation(work, container))

    def _drains(self, container: Container, now: float) -> bool:
        """True if a running container does not get its SIGTERM now, as it is wanted or drains; plans the call
        that quiets or resumes it."""
        goes, work = self.names.next_step(container, now)
        if work:
            self._plan(work, container, now)
        return not goes

    def _succeeded(self, work: Work, container: Container, now: float, id: str) -> None:
        if work is Work.CREATE:
            if not container.id:
                self.bind(container, id)
            if container.phase is Phase.CREATING:
                container.phase = Phase.CREATED
                self.names.begins(container)
        elif work is Work.START and container.phase is Phase.STARTING:
            self.started(container, now)
        elif work in (Work.FREEZE, Work.THAW):
            self.freezer.done(work, container)
        elif work is Work.STOP and container.phase is Phase.STOPPING:
            self.ended(container, "stopped", now)
        elif work is Work.REMOVE:
            self.forget(container)

    def _refused(self, work: Work, container: Container, error: PermanentError, now: float) -> None:
        """Takes a permanent refusal of a create or start."""
        if work is Work.START:
            self.ended(container, f"could not be started: {error}", now)
            return
        # An engine that is back after a kill may refuse the containers that it was creating before.
        blame = container.wanted and not container.outage
        self.forget(container)
        if isinstance(error, Missing):
            self.crash_backoffs.starve(container.task, now)
        elif blame:
            self.crash_backoffs.record_failure(container.task, f"could not be created: {error}", now)
