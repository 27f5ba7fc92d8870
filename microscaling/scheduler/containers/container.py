"""One container of a fleet, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from microscaling.demand.task import Task


class Phase(Enum):
    """What the fleet knows of a container. EXITED is never left for RUNNING on an event's word: events
    come late and twice, and containers of ours are started once."""

    CREATING = "creating"
    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    REMOVING = "removing"


UNSTARTED = frozenset({Phase.CREATING, Phase.CREATED})
ACTIVE = frozenset({Phase.CREATING, Phase.CREATED, Phase.STARTING, Phase.RUNNING})


@dataclass(eq=False, slots=True)
class Container:
    """A container that this agent has created, is creating, or has adopted."""

    task: Task
    nonce: str
    order: int
    """Grows with every container: when some must go, those of the highest order go first."""
    phase: Phase = Phase.CREATING
    id: str = ""
    unwanted: bool = False
    """It is to go, as soon as what is under way with it allows."""
    busy: bool = False
    """An operation is under way."""
    unknown: bool = False
    """An operation ended without an answer: nothing is done with it until a listing has shown it."""
    may_run: bool = False
    """It runs, or was asked to start and is not known to have ended: it takes a place under the cap."""
    stubborn: bool = False
    """It was asked to stop, or to be removed, and that failed: nobody knows how long it keeps its place."""
    refused: bool = False
    """The engine has refused to stop it while it was paused, so at the end it is removed by force."""
    start_unconfirmed: bool = False
    """A start of it was not answered, and may be carried out as long as there is the container: even
    when it has ended it keeps its place under the cap until it is removed."""
    touched: int = 0
    """When the last event or operation concerned it, in the fleet's own count."""
    started: float | None = None
    """When it was seen to start, monotonic seconds; None if that was before this agent."""
    stable: bool = True
    """It has run for 5 s, or was there before this agent."""
    unexpected_exit: bool = False
    """It ended by itself, so its last words are worth a line in the log."""
    signalled: bool = False
    """Somebody has sent it a signal, so its end is no failure of its own."""
    outage: bool = False
    """The engine has been away since it was there, so its end is no failure of its own either."""
    paused: bool = False
    """Somebody has frozen it: it keeps its place under the cap, but does no work."""
    relief: bool = False
    """It replaces one whose work was done, so its task is short of nothing."""
    paced: bool = False
    """It replaces one that ended in vain, so its creation waits."""
    heard: bool = False
    """The event stream has told of its start, so it will tell of its end."""
    seen: float = 0.0
    """When it was last known to run, but for the event stream's silence: monotonic seconds."""
    asked: float = 0.0
    """When the operation that is under way was asked for, monotonic seconds."""
    exit_code: int | None = None
    failures: int = 0
    """Operations in a row that were not answered, or failed for no fault of the container."""
    not_before: float = 0.0
    """Do nothing with it before this time, monotonic seconds: its last operation failed."""

    @property
    def wanted(self) -> bool:
        """It counts as requested."""
        return not self.unwanted and self.phase in ACTIVE and not self.paused

    @property
    def stays(self) -> bool:
        """Nothing is under way with it, and it is not to go."""
        return (self.wanted or (self.paused and not self.unwanted)) and not self.busy and not self.unknown

    @property
    def is_new(self) -> bool:
        """Nothing has been asked for it, and it replaces none."""
        return self.phase is Phase.CREATING and not self.asked and not self.relief and not self.unwanted

    @property
    def short_id(self) -> str:
        """As people write it."""
        return self.id[:12] or "(not yet created)"


class Work(Enum):
    """What can be asked of a backend for one container."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REMOVE = "remove"


@dataclass(eq=False, slots=True)
class Operation:
    """One call to a backend, to be made outside the lock."""

    work: Work
    container: Container
