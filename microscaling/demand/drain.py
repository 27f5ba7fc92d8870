"""How the containers of a task end: the signs of a job in each, and the way to an end without a loss."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from microscaling.metric.consumers.base import Consumers

DRAIN_S = 3600.0
"""Longest drain without a setting."""
FILE_S = 3600.0
"""Seconds after which a busy file without a time in it counts for nothing."""


class Activity(Enum):
    """The work of one container, at one moment."""

    BUSY = "busy"
    IDLE = "idle"
    UNKNOWN = "unknown"
    """It could not be found out; for a stop that counts as busy."""
    UNSEEN = "unseen"
    """No key has asked for the source, which has shown no container of the task: as without a sign."""


class Way(Enum):
    """The sign of a busy container, by the key of `config`."""

    FILE = "busyFile"
    EXEC = "busyProbe.exec"
    HTTP = "busyProbe.http"
    SOURCE = "busy"
    CPU = "busyCpu"


DELAYS_S = {Way.FILE: 0.05, Way.EXEC: 0.1, Way.HTTP: 0.05, Way.CPU: 1.0}
EVERY_S = {Way.FILE: 0.5, Way.EXEC: 2.0, Way.HTTP: 0.5, Way.SOURCE: 0.5, Way.CPU: 3.0}
"""A command in a container costs its engine as much as seventy looks at a file."""


@dataclass(frozen=True, slots=True)
class Call:
    """A command in the container, or a request to it."""

    exec: tuple[str, ...] = ()
    """The words of the command; empty for a request."""
    port: int = 0
    path: str = "/"

    def __str__(self) -> str:
        return f"command {self.exec[0]}" if self.exec else f"request to port {self.port}"


@dataclass(frozen=True, slots=True)
class Busy:
    """The way to look at a container of the task."""

    way: Way
    path: str = ""
    """Of the busy file; for processes with {number} in it."""
    file_s: float = FILE_S
    """Seconds after its change at which a busy file without a time counts for nothing."""
    call: Call = Call()
    """The probe."""
    share: float = 0.0
    """Processors in use above which a container is busy."""
    source: Consumers | None = None
    """The list of the consumers of the task's queue."""
    implied: bool = False
    """No key asked for it: where the source shows no container of the task, it counts for nothing."""

    @property
    def delay_s(self) -> float:
        """Seconds from the begin of a job until a look can see it: two looks are so far apart."""
        return self.source.delay_s if self.source is not None else DELAYS_S[self.way]

    @property
    def every_s(self) -> float:
        """Seconds between two looks while a container drains."""
        return max(EVERY_S[self.way], self.delay_s / 2)


@dataclass(frozen=True, slots=True)
class Drain:
    """The way from a container that is to go to its SIGTERM."""

    signal: str = ""
    """The quiet signal, without SIG; empty for none."""
    hook: Call | None = None
    """The call in place of the quiet signal."""
    seconds: float = DRAIN_S
    """Longest time until the SIGTERM."""
    seconds_for_others: float | None = None
    """The same while another task waits for the place; None: no other time."""
    holds_place: bool = True
    """It keeps its place under the cap."""
    resume_signal: str = ""
    resume_exec: tuple[str, ...] = ()

    @property
    def has_quiet(self) -> bool:
        """True if the container is quieted."""
        return bool(self.signal or self.hook)

    @property
    def can_resume(self) -> bool:
        """True if a drain can be called off after the container was quieted."""
        # A container that was asked nothing has gone on as before.
        return not self.has_quiet or bool(self.resume_signal or self.resume_exec)
