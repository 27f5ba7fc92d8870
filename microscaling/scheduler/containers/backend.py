"""What a fleet of containers needs from whatever runs them: a Docker engine, or this machine."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError


class Missing(PermanentError):
    """What the task's containers are made of is not there: no container can be made of it until it is."""


class BackendUnavailable(TemporaryError):
    """The engine itself cannot be reached: no fault of the container that was asked for."""


class Unanswered(TemporaryError):
    """A call was not answered in time: it may be carried out yet, or have been. The engine may be at fault,
    or only what was asked for."""


class State(Enum):
    """How far a container has come, as its engine sees it."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNREAD = "unread"
    """Its entry cannot be read: it is there, and nothing else is known."""


class Origin(Enum):
    """Which agent made a container of a task that the configuration does not have."""

    EARLIER = "an earlier life of this agent"
    UNSURE = "an earlier life of this agent, but another one may have taken over the task"
    LIVES = "another agent, and one that lives has its task"
    ENDED = "another agent, which has ended"
    OTHER = "another agent: nobody can say whether it lives"
    UNSIGNED = "it carries no agent's id"


@dataclass(frozen=True, slots=True)
class ListedContainer:
    """A container in a listing."""

    id: str
    task: str
    """The name of the task that its label gives."""
    state: State
    created: float
    """Seconds; only their order within one engine matters (newest are stopped first)."""
    nonce: str = ""
    """What `create` was given; empty if whoever created it gave none."""
    agent: str = ""
    """The id of the agent that created it; empty if it gave none."""
    exit_code: int | None = None
    """Of one that has exited; None: not known."""
    paused: bool = False
    """It is RUNNING, but somebody has frozen it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that an engine says has happened to a container of ours."""

    kind: str
    """`create`, `start`, `kill` (somebody has sent it a signal), `pause`, `unpause`, `die` or `destroy`."""
    id: str
    task: str
    nonce: str = ""
    exit_code: int | None = None


class Backend(ABC):
    """Runs containers, and says what becomes of them. All calls block, and end within 10 s or so.

    Calls come from many threads at once. They raise TemporaryError when the outcome is unknown (Unanswered
    after a time-out, BackendUnavailable without any answer), PermanentError when the engine refuses
    (Missing: no such image). Containers that are not there, or already are as wanted, are no error.
    """

    name = "engine"

    @abstractmethod
    def prepare(self, task: Task) -> None:
        """Once per task, before its first `create`: pull the image, check the command."""

    def supply(self, task: Task) -> None:
        """Tries to have what was Missing, which may take minutes. Returns when it is there; raises
        TemporaryError if it is not, with a reason if there is anything new to say."""

    @abstractmethod
    def create(self, task: Task, nonce: str) -> str:
        """Makes a container of the task without starting it; returns its id. The container carries
        the task's name and the nonce, in listings and in events."""

    @abstractmethod
    def start(self, id: str) -> None:
        """Starts a created container."""

    @abstractmethod
    def stop(self, id: str, grace_s: float) -> None:
        """Asks it to end, and forces it after the grace. Returns when it has ended."""

    @abstractmethod
    def remove(self, id: str) -> None:
        """Removes a container that does not run, with what belongs to it; one that runs is killed."""

    @abstractmethod
    def last_log_lines(self, id: str) -> str:
        """The last few lines that an exited container wrote; empty if there are none to be had."""

    @abstractmethod
    def list(self) -> list[ListedContainer]:
        """Every container of ours, in whatever state."""

    def begin(self, tasks: Sequence[str]) -> None:
        """Called once, with the names of all tasks, before anything is listed or created."""

    def origins(self, seen: Sequence[ListedContainer]) -> builtins.list[Origin]:
        """Which agent made each of these containers, whose tasks are none of ours."""
        return [Origin.EARLIER for _ in seen]

    @abstractmethod
    def end_command(self, task: str, seen: Sequence[ListedContainer]) -> str:
        """What a person types to end these containers of a task."""

    @abstractmethod
    def watch(self, ready: Callable[[], None], on_event: Callable[[Event], None]) -> None:
        """Calls `ready` once when the stream is open, then `on_event` for every event from then on.
        Returns, or raises TemporaryError, when the stream has ended or `unwatch` was called."""

    @abstractmethod
    def unwatch(self) -> None:
        """Ends `watch` at once, from another thread."""

    def close(self) -> None:
        """Lets go of sockets and files."""
