"""One container, and its state in the reconciler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from typing import Any

from microscaling.demand.task import Task
from microscaling.scheduler.containers.watch import Draining, Handshake, Naming, Watch


class Phase(Enum):
    """The known progress of a container."""

    # An event never changes EXITED to RUNNING: events come late and twice, and our containers start once.
    CREATING = "creating"
    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    FREEZING = "freezing"
    FROZEN = "frozen"
    CHOSEN = "frozen, waits for a place"
    THAWING = "thawing"
    STOPPING = "stopping"
    EXITED = "exited"
    REMOVING = "removing"


UNSTARTED = frozenset({Phase.CREATING, Phase.CREATED, Phase.CHOSEN})
"""To go, they need no stop."""
PARKED = frozenset({Phase.CREATED, Phase.CHOSEN})
"""They wait for a place under the cap, and nothing else."""
STILL = frozenset({Phase.FROZEN, Phase.CHOSEN})
COLD = STILL | {Phase.FREEZING, Phase.THAWING}
"""Frozen by the agent, or on the way to or from it."""
ACTIVE = UNSTARTED | {Phase.STARTING, Phase.RUNNING, Phase.FREEZING, Phase.THAWING}


AT_REST: Mapping[str, Any] = {
    "phase": Phase.RUNNING, "unwanted": False, "busy": False, "unknown": False, "may_run": True,
    "stubborn": False, "refused": False, "start_unconfirmed": False, "may_return": False, "stable": True,
    "paused": False, "restarting": False, "outdated": False, "paced": False, "drain": None, "quieted": None,
    "warm": False,
}  # fmt: skip
"""The values of a container with which nobody has anything to do, and that counts as one that runs."""
RESTING, _AT_REST = tuple(AT_REST.values()), attrgetter(*AT_REST)
COUNTS = frozenset({*AT_REST, "task", "not_before"})
"""The fields by which that may change."""


@dataclass(eq=False, slots=True)
class Container:
    """A container that this agent has created, is creating, or has adopted."""

    changed: Callable[[Container], None] | None = field(default=None, kw_only=True)
    """Called after a change of one of the fields that count."""
    task: Task
    nonce: str
    order: int
    """A serial number: if some must go, the highest go first."""
    phase: Phase = Phase.CREATING
    id: str = ""
    unwanted: bool = False
    """It is to go as soon as the operation under way allows."""
    busy: bool = False
    """An operation is under way."""
    unknown: bool = False
    """An operation ended without an answer: no further one until a listing has shown the container."""
    may_run: bool = False
    """It runs, or was asked to start and is not known to have ended: it takes a place under the cap."""
    stubborn: bool = False
    """Its stop or removal has failed: it keeps its place for an unknown time."""
    refused: bool = False
    """The engine refused to stop it while it was paused, so at the end it is removed by force."""
    start_unconfirmed: bool = False
    """A start was not answered, and may still be carried out: even after its end the container keeps its
    place under the cap until it is removed."""
    by_others: bool = False
    """It was stopped from outside."""
    may_return: bool = False
    """It was stopped from outside, and is perhaps about to be started again: it keeps its place under the
    cap."""
    touched: int = 0
    """Serial number of the last event or operation that concerned it."""
    started: float | None = None
    """Time of its start, or of its go (monotonic seconds); None if it was running before this agent."""
    stable: bool = True
    """It has run for 5 s, or was there before this agent; with a handshake, since its go."""
    unexpected_exit: bool = False
    """It ended by itself, so its last log lines are worth logging."""
    signalled: bool = False
    """It got a signal from outside that asks it to end, so its exit is no failure."""
    outage: bool = False
    """It lived through an outage of the engine, so its exit is no failure."""
    paused: bool = False
    """It was paused from outside: it keeps its place under the cap, but does no work."""
    frozen_since: float | None = None
    """Time at which the agent asked for it to be frozen, monotonic seconds; None: it is not frozen."""
    pause_owed: bool = False
    thaw_owed: bool = False
    """The event of the agent's own pause, or of its own end of one, is still to come."""
    late_pause_until: float = 0.0
    """Until then the engine may carry out a pause that it has not answered (monotonic seconds)."""
    thaw_unconfirmed: bool = False
    """The end of its pause was not answered, and may still come: until then it keeps its place."""
    late_thaw_until: float = 0.0
    """As above, of the end of a pause: until then it is not frozen again, as it would go on."""
    tries: int = 0
    """Refusals in a row to freeze or thaw it."""
    spent: bool = False
    """It is not frozen any more, but stopped."""
    freezes: bool = False
    """It is frozen if it is to go now."""
    warm: bool = False
    """It is of the pool: frozen until it is needed, or on its way there."""
    handshake: Handshake = field(default_factory=Handshake)
    memory: int | None = None
    """Bytes that it used when it was frozen for the pool; 0: not known; None: not asked yet."""
    restarting: bool = False
    """It has ended, and the engine itself is about to start it again: it keeps its place, and is not
    replaced."""
    outdated: bool = False
    """It is of an earlier configuration: another container takes its place, before or after it goes."""
    renewed: bool = False
    """It is of the present configuration and does its work; others of its task are still to be replaced."""
    version: str = ""
    """That of its task when it was made; empty if it is not known."""
    relief: bool = False
    """It replaces one that finished its work, so its task lacks nothing."""
    paced: bool = False
    """It replaces one that ended in vain, so its creation is delayed."""
    heard: bool = False
    """The event stream has reported its start, so it will report its end."""
    seen: float = 0.0
    """The last time a listing or an event showed it running, monotonic seconds."""
    asked: float = 0.0
    """Time of the request of the operation under way, monotonic seconds."""
    watch: Watch = field(default_factory=Watch)
    drain: Draining | None = None
    """Set while it drains, until its end."""
    naming: Naming = field(default_factory=Naming)
    quieted: float | None = None
    """Time at which it was asked to take no new job, monotonic seconds; None: it takes jobs."""
    healthy: bool | None = None
    """It was healthy at least once; None if it has no health check."""
    exit_code: int | None = None
    address: int = 0
    """Its address in a network, as a number; 0: not known."""
    name: str = ""
    """Its name in the engine, as far as a listing has shown it."""
    failures: int = 0
    """Operations in a row without an answer, or with a failure that is not the container's."""
    not_before: float = 0.0
    """No operation before this time (monotonic seconds), after a failure or as a delay of its creation or
    removal."""
    serial: int = 0
    """Its place among all containers that this agent has got to know."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in COUNTS and self.changed is not None:
            self.changed(self)

    @property
    def is_at_rest(self) -> bool:
        """It runs and is wanted, and there is nothing to do with it."""
        if self.phase is not Phase.RUNNING:
            return False
        # Those of web tasks are looked at for their names.
        if self.task.web is not None or self.naming.listed is False:
            return False
        if self.task.warm is not None and not self.handshake.told:
            return False
        values: tuple[Any, ...] = _AT_REST(self)
        return values == RESTING

    @property
    def wanted(self) -> bool:
        """It counts as requested."""
        return not (self.unwanted or self.outdated or self.paused or self.warm) and self.phase in ACTIVE

    @property
    def is_fresh(self) -> bool:
        """It was never told go, so it has done no work, and may end without a grace."""
        return self.warm or (self.task.warm is not None and not self.handshake.may_work)

    def begins_work(self, now: float) -> None:
        """Takes the moment from which it may be at work, having loaded: only now it can prove itself."""
        shake = self.handshake
        if not shake.may_work:
            shake.may_work, self.started, self.stable = True, now, False

    @property
    def is_parked(self) -> bool:
        """It only waits for a place, to be started or to go on."""
        return self.phase in PARKED and self.wanted and not (self.busy or self.unknown)

    @property
    def is_up(self) -> bool:
        """It runs, and does not wait to be started again."""
        return self.phase is Phase.RUNNING and not self.restarting

    @property
    def skips_drain(self) -> bool:
        """It does not wait for the end of a job: it goes on with that later, or has had its time."""
        yielding = self.task.yielding
        return self.spent or (self.freezes and yielding is not None and not yielding.waits)

    @property
    def is_draining(self) -> bool:
        """It is at work for the last time: its SIGTERM is still to come."""
        return self.drain is not None and self.phase is Phase.RUNNING

    @property
    def holds_place(self) -> bool:
        """It takes a place under the cap."""
        options = self.task.drain
        return self.may_run and (self.drain is None or options is None or options.holds_place)

    @property
    def stays(self) -> bool:
        """No operation is under way, and it is not to go."""
        lives = self.phase in ACTIVE or self.phase is Phase.FROZEN or self.paused
        return lives and not (self.unwanted or self.busy or self.unknown)

    @property
    def is_new(self) -> bool:
        """Nothing was requested for it, and it replaces none."""
        new = self.phase is Phase.CREATING and not self.asked and not self.relief
        return new and not (self.unwanted or self.warm)

    @property
    def short_id(self) -> str:
        """The id as in Docker's own output."""
        return self.id[:12] or "(not yet created)"


class Work(Enum):
    """The operations of a backend on one container."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REMOVE = "remove"
    FREEZE = "freeze"
    THAW = "thaw"
    QUIET = "tell to take no new job"
    RESUME = "tell to take jobs again"
    LIST = "give its name"
    UNLIST = "take its name"
    READY = "see if it is ready"
    GO = "tell go"
    WEIGH = "measure the memory of"


WORK_FOR = {
    Phase.CREATING: Work.CREATE,
    Phase.STARTING: Work.START,
    Phase.FREEZING: Work.FREEZE,
    Phase.THAWING: Work.THAW,
    Phase.STOPPING: Work.STOP,
    Phase.REMOVING: Work.REMOVE,
}
STARTS = (Work.CREATE, Work.START, Work.THAW, Work.GO)
URGENT = (Work.START, Work.STOP, Work.UNLIST, Work.FREEZE, Work.THAW, Work.GO)
"""Others wait for their places, or for their containers."""
UNWANTED = (Work.CREATE, Work.START, Work.LIST, Work.THAW, Work.GO)
"""Operations that are called off for a container that is to go."""
WANTED_AGAIN = (Work.UNLIST, Work.FREEZE)
"""Those that are called off for one that is to stay."""
POOLED = (Work.THAW,)
"""Those that are called off for one that goes back to the pool."""


@dataclass(eq=False, slots=True)
class Operation:
    """One call to a backend, to be made outside the lock."""

    work: Work
    container: Container

    def __str__(self) -> str:
        return f"{self.container.task.name}: {self.work.value} {self.container.short_id}"

    @property
    def is_needless(self) -> bool:
        """True if its container is not to have it any more."""
        container = self.container
        if container.unwanted:
            return self.work in UNWANTED
        return self.work in (POOLED if container.warm else WANTED_AGAIN)
