"""The state of one container between its last job and its SIGTERM."""

from __future__ import annotations

from dataclasses import dataclass

from microscaling.demand.drain import Activity

NEVER = float("-inf")


@dataclass(eq=False, slots=True)
class Watch:
    """What the looks at a container have shown. Times are monotonic seconds."""

    activity: Activity = Activity.UNKNOWN
    since: float = NEVER
    """The time since when it has had this activity."""
    idle_since: float | None = None
    """The request of the first of the last looks, all of which found it idle."""
    looked: float = NEVER
    """The request of the last look with a result, or without one."""
    looking: bool = False
    """A look is under way."""

    tries: int = 0
    """Calls of the hook or signal in a row that have failed."""
    retry_at: float = NEVER
    """The next one is not before this time."""

    def take(self, activity: Activity, asked: float) -> None:
        """Takes the result of a look that was requested at `asked`."""
        self.looked = asked
        if activity is not self.activity or self.since == NEVER:
            self.activity, self.since = activity, asked
        # Any other result means that a job may have begun.
        if activity not in (Activity.IDLE, Activity.UNSEEN):
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = asked


@dataclass(eq=False, slots=True)
class Naming:
    """The name of a container of a web task in DNS. Times are monotonic seconds."""

    listed: bool | None = None
    """It has its name; None: not known, as of one that was there before the agent."""
    since: float | None = None
    """The first time at which it was to get its name."""
    unlisted_at: float | None = None
    """The time at which it lost its name; None: it has it, or never had it."""
    unsafe_until: float = NEVER
    """Until then its name stays, as its address would not."""
    gave_up: bool = False
    """It stops with its name."""
    over: bool = False
    """The time between the loss of its name and its end is over."""
    tries: int = 0
    """Calls in a row that have failed."""
    retry_at: float = NEVER


@dataclass(eq=False, slots=True)
class Handshake:
    """How far a container of a task with `warm` has come. Times are monotonic seconds."""

    ready: bool = False
    """It has shown that it waits for go."""
    told: bool = False
    """It was told go."""
    may_work: bool = False
    """It was told go, or may have been: it is never frozen for the pool, and has its grace at its end."""
    since: float | None = None
    """The first look whether it is ready, or the time at which it was told go; None: there was neither."""
    said: bool = False
    """The log has it that it is not ready."""
    tries: int = 0
    """Calls in a row that have failed."""
    retry_at: float = NEVER


@dataclass(eq=False, slots=True)
class Draining:
    """The drain of a container. Times are monotonic seconds."""

    since: float
    others_since: float | None = None
    """The time since when another task has waited for a place."""
    said: bool = False
    """The log has it."""
    over: bool = False
    """Its time is up."""
