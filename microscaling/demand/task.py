"""A task: its configuration, its demand, and its containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microscaling.demand.container import ContainerOptions
from microscaling.demand.drain import Busy, Drain
from microscaling.demand.fallback import Fallback
from microscaling.demand.frozen import Yielding
from microscaling.demand.history import Decision
from microscaling.demand.override import Override
from microscaling.demand.reason import Reason
from microscaling.demand.schedule import Limits, Schedule, Window
from microscaling.demand.shown import Failure
from microscaling.demand.step_limit import StepLimit
from microscaling.demand.warm import Warm
from microscaling.demand.web import Web
from microscaling.metric.base import Metric
from microscaling.metric.null import NullMetric
from microscaling.target.base import Target
from microscaling.target.remainder import RemainderTarget

PLAIN = ContainerOptions()
IDLE_S = 10.0
STUCK_S = 3600.0
NOT_YET = "not measured yet"
NO_WARNINGS: Mapping[str, str] = {}
CONFIGURED = (
    "family_name", "image", "command", "publish_all_ports", "network_mode", "env", "is_scalable", "priority",
    "max_delta", "min_containers", "max_containers", "metric", "container", "fallback", "scale_down_window_s",
    "idle_s", "stuck_s", "update_parallel", "weight", "reserve", "scale_up", "scale_down",
    "activation", "busy", "drain", "drain_keys", "web", "schedule", "yielding",
    "warm",
)  # fmt: skip
"""The fields that a configuration gives, without its name and `target`."""


@dataclass(eq=False, slots=True)
class Task:
    """One service that shares the cap with the others. Tasks are compared by identity.

    Counts are containers. `demand` is the engine's decision, `requested` the count that the scheduler has
    asked the backend for, `running` the running containers, including those that are being stopped.
    """

    name: str
    demand: int = 0
    requested: int = 0
    running: int = 0
    family_name: str = ""
    image: str = ""
    command: str = ""
    publish_all_ports: bool = False
    network_mode: str = ""
    env: list[str] = field(default_factory=list)
    """`NAME=value` each."""
    is_scalable: bool = True
    priority: int = 0
    """Lower numbers are more important: 1 comes before 2."""
    max_delta: int = 0
    """The largest change of one decision."""
    min_containers: int = 0
    max_containers: int = 0
    target: Target = field(default_factory=lambda: RemainderTarget(0))
    metric: Metric = field(default_factory=NullMetric)
    ideal_containers: int = 0
    """The containers the last measurement calls for, caps and other tasks aside; may be negative."""
    container: ContainerOptions = PLAIN
    held: str = ""
    """Reason why no reading is available for a decision; empty if there is one."""
    backing_off: bool = False
    """True after repeated failures: the scheduler delays its starts, and `limits` holds its demand."""
    reason: Reason | None = None
    """Reason for the last change of `demand`."""
    settled: bool = True
    """True if the running count matched `requested` at the last measurement."""
    reallocated: bool = False
    """True if an allocation between two beats has changed its demand since the last measurement."""
    overdue: bool = False
    """True if it has been unsettled for so long that it counts as settled. Only the scheduler writes it."""
    stopping: int = 0
    """The containers in `running` that are being stopped, however long that takes. Only the scheduler writes
    it."""
    parked: int = 0
    """The containers in `requested` that only wait for a place under the cap, replace one that finished its
    work, or are started again by the engine itself. Only the scheduler writes it."""
    fallback: Fallback | None = None
    """The action when it cannot be measured; None: hold its demand."""
    falling_back: str = ""
    """Reason for the missing reading while the fallback is in force; empty otherwise."""
    scale_down_window_s: float | None = None
    """Stabilisation window of its scale-down in seconds; None: the default of all tasks."""
    measured_at: float | None = None
    """Time of its last reading, monotonic seconds; None: there was none."""
    measured_s: float = 0.5
    """Seconds between the last two measurements of its source."""
    resting: str = ""
    """Why it has no containers, if its user has stopped or paused them, or why they must not be scaled now;
    empty otherwise. Then it counts as backing off. Only the scheduler writes it."""
    room: int | None = None
    """The most containers that find a place in the cluster; None: no limit is known. Only the scheduler
    writes it."""
    unplaced: str = ""
    """The requested containers that do not run, with the reasons: "3 pending: no suitable node". Only the
    scheduler writes it."""
    failure: Failure | None = None
    """The last failure of its containers; None: none since they have proven stable. Only the scheduler writes
    it."""
    idle_s: float = IDLE_S
    """Seconds with an empty queue before it gives containers back, one at a time, for every rule."""
    stuck_s: float = STUCK_S
    """Seconds for which jobs of workers that are gone keep a container without a change of their number."""
    busy: Busy | None = None
    """The sign of a busy container; None: there is none."""
    drain: Drain | None = None
    """The way of a container to its end; None: SIGTERM at once."""
    draining: int = 0
    """The containers in `stopping` that are at work for the last time. Only the scheduler writes it."""
    drains_until: float | None = None
    """The time at which the last of them gets its SIGTERM, monotonic seconds. Only the scheduler writes
    it."""
    drain_keys: tuple[str, ...] = ()
    """The keys of its configuration for these two."""
    web: Web | None = None
    """When its containers get and lose their names; None: as long as they run, they have them."""
    yielding: Yielding | None = None
    """Its containers are frozen in place of being stopped when it gives way; None: they are stopped."""
    warm: Warm | None = None
    """Its containers load first, and wait for go, some of them frozen; None: they work from their start."""
    frozen: int = 0
    """Its frozen containers, which take no places under the cap. Only the scheduler writes it."""
    loading: int = 0
    """Its running containers that still wait for go, so they do no work. Only the scheduler writes it."""
    warm_bytes: int = 0
    """The memory of its warm containers, as far as it is known. Only the scheduler writes it."""
    generation: int = 0
    """That of `Tasks` at which its metric and rule were new: all that is known of its readings is younger."""

    def configure(self, new: Task) -> bool:
        """Takes over the configuration of another task; containers and demand stay. Returns True if its
        readings begin anew, as its metric is another one."""
        anew = new.metric is not self.metric
        if self.schedule is not None and self.schedule.length is not None:
            self.target.aim(self.schedule.length)  # a window may have changed it
        for name in CONFIGURED:
            setattr(self, name, getattr(new, name))
        self.own = None
        self.override, self.overruled = "", None
        self.version, self.measures, self.decides = new.version, new.measures, new.decides
        # While a fallback is in force, it has the rule of the task inside.
        place: Any = self.target if hasattr(self.target, "usual") and not anew else None
        if anew:
            self.target = new.target
            self.begin_anew()
        elif place is None:
            self.target = new.target
        else:
            place.usual = new.target
        return anew

    def follow_schedule(self, now: float) -> bool:
        """Takes the limits of the window that is open at `now` (seconds since 1970), or its own. Returns True
        if it is another window than before."""
        if self.schedule is None:
            return False
        if self.own is None:
            least, most = self.min_containers, self.max_containers
            self.own = Limits(least, most, self.priority, self.schedule.length, self.max_delta)
        before, self.window = self.window, self.schedule.open_at(now)
        limits = self.own if self.window is None else self.window.limits.over(self.own)
        self.min_containers, self.max_containers = limits.least or 0, limits.most or 0
        self.priority, self.max_delta = limits.priority or 0, limits.delta or 0
        if limits.length is not None:
            self.target.aim(limits.length)
        if isinstance(self.target, RemainderTarget):
            self.target.max_containers = self.max_containers
        return self.window is not before

    def overrule(self, override: Override | None) -> None:
        """Puts the will of a person into force; None: its own limits hold again. Paused, it is like a task
        that is not scalable: no reading moves it, and it gives nothing. Pinned, its number is minimum and
        maximum, so that the guard raises it as it would to a minimum."""
        if self.overruled is not None:
            self.is_scalable, self.min_containers, self.max_containers, self.max_delta = self.overruled
            self.override, self.overruled = "", None
        if override is None or not self.is_scalable:  # otherwise nothing moves it anyway
            return
        self.overruled = self.is_scalable, self.min_containers, self.max_containers, self.max_delta
        self.override = override.words()
        if override.containers is None:
            self.is_scalable = False
        else:
            self.min_containers = self.max_containers = min(override.containers, self.max_containers)
            self.max_delta = max(self.max_containers, self.requested)  # at once, and not in steps

    def own_limits(self) -> tuple[int, int]:
        """Returns its minimum and maximum by the configuration, even while it is pinned to others."""
        return self.overruled[1:3] if self.overruled else (self.min_containers, self.max_containers)

    def begin_anew(self) -> None:
        """Forgets its readings: until the next one it is held."""
        self.held = NOT_YET if self.metric.sources else ""
        self.falling_back, self.measured_at = "", None

    warnings: Mapping[str, str] = field(default_factory=lambda: NO_WARNINGS)  # one for thousands of tasks
    """What a person should know of it, by kind. Only the watch writes it, and replaces it as a whole."""
    overruled: tuple[bool, int, int, int] | None = None
    """Whether it is scalable, its minimum, its maximum and its largest change by the configuration, while the
    will of a person replaces them."""
    override: str = ""
    """A person's will in force in place of its rule, in words; empty: none."""
    history: list[Decision] = field(default_factory=list)
    """The last changes of `demand`, the oldest first."""
    weight: float | None = None
    """Its share among the tasks of its priority; None: 1 if another of them has one, else the order
    counts."""
    scale_up: StepLimit | None = None
    scale_down: StepLimit | None = None
    """Limits of how fast it adds containers, and gives them back; None: none."""
    activation: int = 0
    """Items up to which a task without containers stays so, and one with them counts as idle."""
    reserve: int = 0
    """The containers that it gets before more important tasks, as far as it wants them."""
    update_parallel: int = 1
    """The containers of an earlier configuration that are replaced at the same time."""
    version: str = ""
    """Stands for all that a container of it is made from; empty: its scheduler makes none."""
    measures: str = ""
    decides: str = ""
    """The keys of its configuration for its metric, and for its rule: with equal ones both stay as they
    are."""
    rolling: str = ""
    """What is under way while its containers are replaced; empty otherwise. Only the scheduler writes it."""
    schedule: Schedule | None = None
    """The windows of time in which it has other limits; None: there are none."""
    own: Limits | None = None
    """The limits of its configuration, which those of a window replace; None: no window was looked at yet."""
    window: Window | None = None
    """The window that is open; None: there is none."""
    changes_at: tuple[float, Window | None] | None = None
    """The time at which another window opens, or none is open any more (seconds since 1970), and that window;
    None: nothing will change."""

    def serving(self) -> int:
        """Returns the base of the rules: the running containers that are to stay, and those that will run as
        soon as there is a place."""
        # A container that stops, or fails to stop, is no evidence of the task's need.
        return self.running - self.stopping + self.parked

    def most(self) -> int:
        """Returns the most containers that it can have: its maximum, or what finds a place in the cluster."""
        return self.max_containers if self.room is None else min(self.max_containers, self.room)

    @property
    def freezes(self) -> bool:
        """True if its containers are frozen at times."""
        return self.yielding is not None or self.warm is not None

    def is_remainder(self) -> bool:
        """True if the task takes the capacity that the others leave."""
        return isinstance(self.target, RemainderTarget)

    def scale_up_count(self) -> int:
        """Returns how many containers more it should get; 0 for none, negative if it is above its maximum."""
        more = self.ideal_containers - self.requested
        if more <= 0 or self.target.meeting(self.metric.current):
            more = 0
        return min(self._within_limits(more), self.max_delta)

    def scale_down_count(self) -> int:
        """Returns how many fewer it needs, as a negative number; 0 for none, positive if it is below its
        minimum."""
        fewer = self.ideal_containers - self.requested
        if fewer >= 0 or not self.target.exceeding(self.metric.current):
            fewer = 0
        return max(self._within_limits(fewer), -self.max_delta)

    def can_scale_down(self) -> int:
        """Returns how many containers it could give to a task of higher priority."""
        return max(0, self.requested - self.min_containers) if self.is_scalable else 0

    def _within_limits(self, change: int) -> int:
        """Limits a change of `requested` to the minimum and the maximum; the maximum wins."""
        change = max(change, self.min_containers - self.requested)
        return min(change, self.most() - self.requested)
