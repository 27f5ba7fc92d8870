"""What is known of one task at an orchestrator, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.occupied import Occupied
from microscaling.scheduler.probes import Probes
from microscaling.scheduler.replicas.crashes import Crashes
from microscaling.scheduler.replicas.outside import OutsideChanges
from microscaling.scheduler.replicas.placement import Placement
from microscaling.scheduler.replicas.unanswered import Unanswered
from microscaling.scheduler.settling import Settling
from microscaling.utils.backoff import Backoff
from microscaling.utils.failure_log import FailureLog

CONFLICT_DELAY_S, MAX_CONFLICT_DELAY_S = 0.25, 5.0
REFUSED_DELAY_S, MAX_REFUSED_DELAY_S = 1.0, 60.0


class Conflict(TemporaryError):
    """Refused because of a concurrent change. That is normal, and passes."""


# A number more here costs nothing: orchestrators that do not know it leave the default.
@dataclass(frozen=True, slots=True)
class Replicas:
    """The state of one task at the orchestrator (instances): the requested and the running number, and
    whether a change is under way that blocks another one.

    One that knows more also gives: how many of the running ones are on their way out; why the task
    must not be scaled now (`update`); how many have no place in the cluster, and in words which do not run
    (`unplaced`); `room_key`, which changes whenever the cluster may have room for more; how many have run for
    a while (`steady`), and why others have failed soon after their start, each failure once.
    """

    requested: int
    running: int
    locked: bool = False
    stopping: int = 0
    update: str = ""
    pending: int = 0
    unplaced: str = ""
    room_key: int = 0
    steady: int = 0
    failures: tuple[str, ...] = ()


Found = Replicas | PermanentError | None
"""The state of a task, or the reason why it cannot be read; None: the orchestrator does not have it."""


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """A request for a number of instances of a task."""

    name: str
    instances: int

    def __str__(self) -> str:
        return f"{self.name}: scale to {self.instances}"


class ReplicaState:
    """The reconciler's state of one task."""

    def __init__(self, task: Task, occupied: Occupied, probes: Probes) -> None:
        self.task = task
        self.crashes = Crashes(task, probes)
        self.placement = Placement(task)
        self.outside = OutsideChanges(task)
        self.requested = 0
        """The orchestrator's own number (instances), as far as known."""
        self.unanswered = Unanswered(task, occupied)
        self.asked: int | None = None
        """Instances requested by the call under way."""
        self.ceiling = 0
        """Upper bound of the orchestrator's number now: more than `requested` while a call is under way, or
        unconfirmed."""
        self.unconfirmed = False
        """The acceptance of the last call is unknown."""
        self.touched = 0
        self.there = False
        self.stopping = 0
        """Running instances that the orchestrator takes away."""
        self.locked = False
        """A change was under way at the last look."""
        self.not_before = 0.0
        self.ran = False
        """An instance has run since the start of the agent."""
        self.trying = False
        """It backs off, and one more instance is requested as a probe."""
        self.settling = Settling(task)
        self.backoff = Backoff(CONFLICT_DELAY_S, MAX_CONFLICT_DELAY_S)
        self.refusals = Backoff(REFUSED_DELAY_S, MAX_REFUSED_DELAY_S)
        self.failure_log = FailureLog()
        self.obstacle = ""
        """The last logged obstacle to scaling it; empty without one."""
