"""The metric of the processor time, or the memory, of a task's own containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import LARGEST, Metric
from microscaling.metric.docker_stats import DockerStats, Look, Sample, Used
from microscaling.plugins import Field
from microscaling.settings import Settings

CPU, MEMORY, MEMORY_SHARE = "cpu", "memory", "memoryShare"
AVERAGE_S, YOUNG_S = 5.0, 15.0
MIB = 2**20
LEAST_S = 0.2
"""Shortest time that tells the use of a processor."""


class DockerMetric(Metric):
    """The resources that the running containers of a task use, all together.

    Containers that have just begun are left out: their start is no load. So that the others are not taken
    for too many while the load moves over to the new ones, the number does not fall below that of before as
    far as the new ones may have it: each of them counts as one of the others did then.
    """

    type_name, summary = "Docker", "the processor time, or the memory, that the task's own containers use"
    fields = (
        Field(
            "measure",
            "Measures",
            kind="choice",
            default=CPU,
            choices=(CPU, MEMORY, MEMORY_SHARE),
            hint="cpu: hundredths of a core; memory: MiB; memoryShare: hundredths of its limit",
        ),
        Field(
            "averageSeconds",
            "Average",
            kind="number",
            default=AVERAGE_S,
            least=0.5,
            most=300,
            hint="the use of the processor is that of the last so many seconds",
        ),
        Field(
            "youngSeconds",
            "Young for",
            kind="number",
            default=YOUNG_S,
            least=0,
            most=600,
            hint="a container that runs for less is left out, as is one before its first healthy check",
        ),
    )
    of_containers = True

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> DockerMetric:
        return cls(settings, values["measure"], values["averageSeconds"], values["youngSeconds"])

    def __init__(
        self,
        settings: Settings,
        measure: str = CPU,
        average_s: float = AVERAGE_S,
        young_s: float = YOUNG_S,
    ) -> None:
        self.measure = measure
        self.average_s = average_s
        self.young_s = young_s
        self.source = DockerStats(settings, average_s)
        self._at: float | None = None
        """Time of the last look that was read."""
        self._number, self._each = 0.0, 0.0
        """The number at that look, for all containers and for each."""

    def read(self, answer: Look) -> int:
        # Read at every beat, but each look counts once: the number depends on the one before.
        if answer.at != self._at:
            self._number, self._each = self._of(answer.by_task.get(self.task, ()))
            self._at = answer.at
        self.stamp = answer.at
        # Half a MiB is none: what a container has besides its program's own memory would count otherwise.
        rounded = int(self._number) if self.measure == MEMORY else round(self._number)
        return min(LARGEST, rounded)

    def _of(self, containers: Sequence[Used]) -> tuple[float, float]:
        """Returns the number for all containers, and for each of them."""
        if not containers:
            return 0.0, 0.0
        amounts = [self._amount(one) for one in containers if one.age_s >= max(0.0, self.young_s)]
        known = [amount for amount in amounts if amount is not None]
        missing = len(containers) - len(known)
        if missing and self._at is None and not known:
            raise MetricError(
                f"none of its containers has run, and been measured, for long enough (youngSeconds: "
                f"{self.young_s:g})"
            )
        total = sum(known)
        # More load counts at once; less of it only as far as it has not just moved to a new container.
        if missing and total < self._number:
            total = min(self._number, total + missing * self._each)
        return total, total / len(containers)

    def _amount(self, one: Used) -> float | None:
        """Returns what one container uses; None: it is not known yet. Raises MetricError."""
        # The engine's own clock and counters, so that a slow answer changes nothing.
        last = one.samples[-1]
        if self.measure == CPU:
            return self._processor(one.samples, last)
        if self.measure == MEMORY:
            return last.memory / MIB
        if not last.limit:
            raise MetricError(
                f"a container has no limit of its memory: set `memory`, or let measure be {MEMORY}"
            )
        return 100 * last.memory / last.limit

    def _processor(self, samples: Sequence[Sample], last: Sample) -> float | None:
        first = next((one for one in reversed(samples) if one.at <= last.at - self.average_s), samples[0])
        seconds = last.at - first.at
        if seconds < LEAST_S:
            return None
        return max(0.0, (last.processor_ns - first.processor_ns) / 1e7 / seconds)


TYPE = DockerMetric
