"""A service: what it is, what is wanted of it, and what there is."""

from __future__ import annotations

from dataclasses import dataclass, field

from microscaling.demand.container import ContainerOptions
from microscaling.demand.fallback import Fallback
from microscaling.demand.reason import Reason
from microscaling.metric.base import Metric
from microscaling.metric.null import NullMetric
from microscaling.target.base import Target
from microscaling.target.remainder import RemainderTarget

PLAIN = ContainerOptions()
IDLE_S = 10.0


@dataclass(eq=False, slots=True)
class Task:
    """One service that shares the cap with the others. Two tasks are the same only if they are one.

    Counts are containers. `demand` is what the engine wants, `requested` what the scheduler has
    asked for, `running` what runs, those being stopped included.
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
    """1 comes before 2."""
    max_delta: int = 0
    """The most that one decision adds or takes away."""
    min_containers: int = 0
    max_containers: int = 0
    target: Target = field(default_factory=lambda: RemainderTarget(0))
    metric: Metric = field(default_factory=NullMetric)
    ideal_containers: int = 0
    """What the last measurement would have, caps and other tasks aside; may be negative."""
    container: ContainerOptions = PLAIN
    held: str = ""
    """Why there is no reading to decide by; empty: there is one."""
    backing_off: bool = False
    """It keeps failing: the scheduler has it wait, and decides its demand."""
    reason: Reason | None = None
    """Why `demand` was last changed."""
    settled: bool = True
    """Running was requested when it was last measured."""
    reallocated: bool = False
    """An extra allocation has moved it since it was last measured."""
    overdue: bool = False
    """It has not settled for so long that it counts as settled. Only the scheduler writes it."""
    stopping: int = 0
    """Of those in `running`, the containers that are on their way out, however long that takes. Only the
    scheduler writes it."""
    parked: int = 0
    """Of those in `requested`, the containers that wait only for a place under the cap, or replace one whose
    work was done. Only the scheduler writes it."""
    fallback: Fallback | None = None
    """What to do when it cannot be measured; None: hold it."""
    falling_back: str = ""
    """Why there is no reading, while its fallback is in force; empty: it is not."""
    scale_down_window_s: float | None = None
    """Seconds for which it has to do with fewer before it gives any back; None: as all tasks."""
    measured_s: float = 0.5
    """Seconds between the last two measurements of its source."""
    idle_s: float = IDLE_S
    """Seconds for which its queue is empty before it gives back, one at a time, whatever its rule."""

    def serving(self) -> int:
        """What the rules count from: the containers that run and are to stay, and those that will run as
        soon as there is a place. What stops, or does not stop, says nothing of what the task needs."""
        return self.running - self.stopping + self.parked

    def is_remainder(self) -> bool:
        """Whether it soaks up what the others leave."""
        return isinstance(self.target, RemainderTarget)

    def scale_up_count(self) -> int:
        """How many more it should get; 0 or less: none, it is above its maximum by that many."""
        more = self.ideal_containers - self.requested
        if more <= 0 or self.target.meeting(self.metric.current):
            more = 0
        return min(self._within_limits(more), self.max_delta)

    def scale_down_count(self) -> int:
        """How many fewer it can do with, as a negative number; 0 or more: none, it is below its
        minimum by that many."""
        fewer = self.ideal_containers - self.requested
        if fewer >= 0 or not self.target.exceeding(self.metric.current):
            fewer = 0
        return max(self._within_limits(fewer), -self.max_delta)

    def can_scale_down(self) -> int:
        """How many it could be made to give to a task of higher priority."""
        return max(0, self.requested - self.min_containers) if self.is_scalable else 0

    def _within_limits(self, change: int) -> int:
        """The change of `requested` that keeps to the minimum, and above all to the maximum."""
        change = max(change, self.min_containers - self.requested)
        return min(change, self.max_containers - self.requested)
