"""The interface of a backend: a Docker engine, or this machine's processes."""

from __future__ import annotations

import builtins  # `list` is a method of Backend
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from microscaling.demand.drain import Activity, Busy, Call
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError


class Missing(PermanentError):
    """The image of the task is missing: no container can be created before it is there."""


class Unmatched(TemporaryError):
    """A source has answered, and not shown a container."""


class BackendUnavailable(TemporaryError):
    """The engine itself cannot be reached: the container of the call is not at fault."""


class Unanswered(TemporaryError):
    """A call was not answered in time: it may have been carried out, or may be later. Either the engine or
    the container of the call may be at fault."""


class Unsafe(PermanentError):
    """The address of a container would change, and all that is under way to it would hang."""


class State(Enum):
    """The state of a container in its engine."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNREAD = "unread"
    """Its entry is invalid: it exists, and nothing else is known."""


class Origin(Enum):
    """The agent behind a container of a task that is not in the configuration."""

    EARLIER = "an earlier life of this agent"
    UNSURE = "an earlier life of this agent, but another one may have taken over the task"
    LIVES = "another agent, and one that lives has its task"
    ENDED = "another agent, which has ended"
    OTHER = "another agent: it is not known whether it lives"
    UNSIGNED = "it carries no agent's id"


@dataclass(frozen=True, slots=True)
class ListedContainer:
    """A container in a listing."""

    id: str
    task: str
    """The task's name on its label."""
    state: State
    created: float
    """Seconds; only their order within one engine matters (newest are stopped first)."""
    nonce: str = ""
    """The nonce of its `create`; empty if it has none."""
    agent: str = ""
    """The id of the agent that created it; empty if it has none."""
    number: int = 0
    """Its number among the containers of its task; 0 if it has none."""
    exit_code: int | None = None
    """For an exited one; None if unknown."""
    paused: bool = False
    """It is RUNNING, but was paused from outside."""
    restarting: bool = False
    """It is RUNNING, but has ended, and the engine itself is about to start it again."""
    name: str = ""
    """Its name for people; empty if it has none."""
    healthy: bool | None = None
    """The result of its health check; None if it has none."""
    address: int = 0
    """Its address in a network, as a number; 0 if it has none."""
    version: str = ""
    """That of its task when it was made; empty if it is not known."""
    removing: bool = False
    """It is EXITED, and its removal has begun: it cannot be started any more."""


GOES_ON = frozenset({"CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG"})
"""Signals that end no program, without SIG."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a container of ours, as reported by an engine."""

    kind: str
    """`create`, `start`, `kill` (any signal to it), `pause`, `unpause`, `die` or `destroy`."""
    id: str
    task: str
    nonce: str = ""
    exit_code: int | None = None
    foreign: bool = False
    """It comes from another program that changes containers of the tasks, such as Compose."""
    restarts: bool = False
    """Of `die`: the engine itself is expected to start the container again."""
    returns: bool = False
    """Of `die`: the one that has stopped the container may be about to start it again."""
    signal: str = ""
    """Of `kill`: the signal, without SIG; empty if it is not known."""

    def asks_to_end(self, task: Task) -> bool:
        """True for a signal after which the end of a container of this task is no failure."""
        go = task.warm.signal if task.warm is not None else ""  # from the agent itself
        return not self.signal or (self.signal not in GOES_ON and self.signal != go)


class Backend(ABC):
    """Runs containers, and reports their changes. All calls block, and end within about 10 s.

    Calls come from many threads at once. They raise TemporaryError if the outcome is unknown (Unanswered
    after a timeout, BackendUnavailable without any answer), PermanentError if the engine refuses (Missing: no
    such image). A container that is missing, or already in the wanted state, is no error.
    """

    name = "engine"
    limits_tasks = False
    """Of each task never more than its maximum run, those that are being stopped included, so that a number
    up to it is enough for each."""

    thaw_is_go = False
    """It thaws by SIGCONT, by which a program that has stopped itself goes on to its work."""
    others_create = False
    """Others create and start containers of the tasks, too, and these are adopted at any time."""

    @abstractmethod
    def prepare(self, task: Task) -> None:
        """Prepares a task, once before its first `create`: looks for its image, or checks the command. Raises
        Missing if there is no image."""

    def refreshes(self, task: Task) -> bool:
        """True if the image of a task, which is there, may be an old one."""
        return False

    def refresh(self, task: Task) -> None:
        """Gets its newest image, which may take minutes; a failure is only logged."""

    def supply(self, task: Task) -> None:
        """Tries to get a Missing image, which may take minutes. Returns when it is there; raises
        TemporaryError if it is not, with a reason if that is new."""

    @abstractmethod
    def create(self, task: Task, nonce: str) -> str:
        """Creates a container of the task without starting it; returns its id. The container carries the
        task's name and the nonce, in listings and in events."""

    @abstractmethod
    def start(self, id: str) -> None:
        """Starts a created container."""

    @abstractmethod
    def stop(self, id: str, grace_s: float) -> None:
        """Asks the container to end, and kills it after the grace (seconds). Returns after its end."""

    @abstractmethod
    def remove(self, id: str) -> None:
        """Removes a container and everything that belongs to it; kills it if it still runs."""

    def drain_file(self) -> str:
        """Returns the path of the file with the drains under way, for the next agent; "" for none."""
        return ""

    def look(self, task: Task, busy: Busy, ids: Sequence[str]) -> Mapping[str, Activity]:
        """Returns the activity of running containers of a task, by id, within about 10 s; one that is left
        out is unknown."""
        raise PermanentError(f"the {self.name} cannot look at a container")

    def signal(self, id: str, name: str) -> None:
        """Sends a signal, given without SIG, to the first process of a container."""
        raise PermanentError(f"the {self.name} cannot send a signal")

    def freeze(self, id: str) -> None:
        """Takes the processor from a running container, which keeps its memory and connections."""
        raise PermanentError(f"the {self.name} cannot freeze a container")

    def thaw(self, id: str) -> None:
        """Lets a frozen container go on."""
        raise PermanentError(f"the {self.name} cannot thaw a container")

    def call(self, task: Task, id: str, call: Call) -> None:
        """Runs a command in a container, or sends a request to it; returns after its success."""
        raise PermanentError(f"the {self.name} cannot call a container")

    def check_ready(self, task: Task, id: str) -> None:
        """Returns if a container of a task with `warm` is ready. Raises NotReady."""
        raise PermanentError(f"the {self.name} cannot see if a container is ready")

    def say_go(self, task: Task, id: str) -> None:
        """Tells a container go. To say it twice is as good as once."""
        raise PermanentError(f"the {self.name} cannot tell a container go")

    def memory(self, id: str) -> int:
        """Returns the memory that a container uses, bytes."""
        raise PermanentError(f"the {self.name} does not tell the memory of a container")

    def give_name(self, task: Task, id: str, up_s: float, keep: bool) -> str:
        """Lists a container of a web task in DNS, once it is ready or has run for long enough (`up_s`: the
        seconds since its start); returns its address. `keep`: it had its name before, and must keep its
        address. Raises NotReady, Unsafe."""
        raise PermanentError(f"the {self.name} has no names of containers")

    def take_name(self, task: Task, id: str) -> None:
        """Takes a container of a web task out of DNS; its connections stay. Raises Unsafe."""
        raise PermanentError(f"the {self.name} has no names of containers")

    @property
    def owes_networks(self) -> bool:
        """True if a container is to be put back on a network, which the next listing does."""
        return False

    @abstractmethod
    def last_log_lines(self, id: str) -> str:
        """Returns the last few lines of an exited container's output; empty if they are not available."""

    @abstractmethod
    def list(self) -> list[ListedContainer]:
        """Returns every container of ours, in any state."""

    def begin(self, tasks: Sequence[str]) -> None:
        """Passes on the names of all tasks, before any listing or create, and again when they are others."""

    def is_others(self, id: str) -> bool:
        """True for a container that another program has made: when its task goes, it stays."""
        return False

    def origins(self, seen: Sequence[ListedContainer]) -> builtins.list[Origin]:
        """Returns the origin of each of these containers of tasks that are not in the configuration."""
        return [Origin.EARLIER for _ in seen]

    @abstractmethod
    def end_command(self, task: str, seen: Sequence[ListedContainer]) -> str:
        """Returns the shell command by which a person ends these containers of a task."""

    @abstractmethod
    def watch(self, ready: Callable[[], None], on_event: Callable[[Event], None]) -> None:
        """Calls `ready` once when the stream is open, then `on_event` for every event. Returns, or raises
        TemporaryError, when the stream has ended or `unwatch` was called."""

    @abstractmethod
    def unwatch(self) -> None:
        """Ends `watch` at once, from another thread."""

    def close(self) -> None:
        """Releases sockets and files."""
