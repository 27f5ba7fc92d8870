"""Several metrics of one task, each of which has a rule of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement, Metric, Source

NOT_YET = "not measured yet"


@dataclass(slots=True)
class Member:
    """One of several metrics, and its reading. Only the engine writes it, under the lock of the tasks."""

    place: str
    """Its place in the configuration: "metrics[0]"."""
    metric: Metric
    activation: int = 0
    """Items up to which a task without containers stays so."""
    problem: str = NOT_YET
    """Reason why it has no reading; empty if it has one."""
    fallback: int | None = None
    """The containers that take the place of its reading after so many failures that its task falls back;
    None: they do not."""
    measured_at: float | None = None
    """Time of its last reading, monotonic seconds."""
    seconds: float = 0.5
    """Time between its last two measurements."""
    beats: float = 1.0
    """The same in beats."""
    anew: bool = False
    """True if its reading is the first one after a gap."""

    @property
    def waits(self) -> bool:
        """True if more items wait than its activation."""
        # Of one that fails the last number counts: there is nothing better, and it only starts one container.
        return self.metric.current > self.activation


class MultipleMetric(Metric):
    """The metrics of a task with several. `current` and `measured` are those of the one that decides: its
    rule had the greatest wish."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        self.interval_s = max((member.metric.interval_s for member in members), default=0.0)
        self.shown = 0
        """Which of them decides."""

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(source for member in self.members for source in member.metric.sources)

    @property
    def lacking(self) -> str:
        """Why some of them have no reading, while others have one; empty if all or none have."""
        failed = [member for member in self.members if member.problem]
        return problem_of(failed, len(self.members)) if len(failed) < len(self.members) else ""

    def show(self, index: int) -> None:
        """Makes one of them the one that decides."""
        self.shown, metric = index, self.members[index].metric
        self.current, self.measured = metric.current, metric.measured

    def waits(self, activation: int) -> bool:
        return any(member.waits for member in self.members)

    def states(self) -> Sequence[Measurement]:
        found = [member.metric.measured for member in self.members]
        return [measured for measured in found if measured is not None]

    def read(self, answer: Any) -> int | Measurement:
        raise MetricError("several metrics have no number in common")


def problem_of(failed: Sequence[Member], count: int) -> str:
    """Describes the first of the metrics that fail, of so many; empty if there is none."""
    if not failed:
        return ""
    more = f" ({len(failed)} of its {count} metrics fail)" if len(failed) > 1 else ""
    return f"{failed[0].place}: {failed[0].problem}{more}"
