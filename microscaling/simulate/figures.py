"""The figures of a simulated run: how long jobs waited, and the containers that it took."""

from __future__ import annotations

from dataclasses import dataclass

from microscaling.simulate.containers import Group
from microscaling.simulate.fewest import work_within
from microscaling.simulate.simulation import BEAT_S, Run, Sample
from microscaling.target.base import Target
from microscaling.target.per_container import PerContainerTarget
from microscaling.target.wait import WaitTarget


@dataclass(frozen=True)
class Figures:
    """One task in one run. Waits in seconds, counts in containers."""

    rule: str
    task: str
    over: float
    """Part of the time in which the queue was longer than the target, or a job waited longer than
    promised."""
    p50: float
    p99: float
    longest: float
    mean: float
    fewest: float
    """The containers that the work needs; see `work_within`."""
    moves: int
    """Starts and stops."""
    at_cap: float
    """Part of the time in which all places under the cap were taken."""

    @property
    def times_fewest(self) -> float:
        """The mean as a multiple of the fewest."""
        return self.mean / self.fewest if self.fewest else 0.0


def figures(run: Run, rule: str, seconds: float, promise: float | None = None) -> list[Figures]:
    """Returns the figures of all tasks. `promise`: seconds that a job may wait, for rules that have none of
    their own."""
    return [_of_task(run, group, rule, seconds, promise) for group in run.containers.groups]


def _of_task(run: Run, group: Group, rule: str, seconds: float, promise: float | None) -> Figures:
    task, queue = group.task, group.queue
    samples = run.samples[task.name]
    at_cap = run.at_cap * BEAT_S / seconds
    mean = group.container_s / seconds
    moves = group.starts + group.stops
    if queue is None:
        return Figures(rule, task.name, 0, 0, 0, 0, mean, 0, moves, at_cap)
    waits = sorted(wait for _, wait in queue.all_waits()) or [0.0]
    over = sum(_is_over(task.target, sample, promise) for sample in samples) / max(1, len(samples))
    return Figures(
        rule,
        task.name,
        over,
        waits[len(waits) // 2],
        waits[int(0.99 * len(waits))],
        waits[-1],
        mean,
        max(work_within(queue.jobs, seconds) / seconds, task.min_containers),
        moves,
        at_cap,
    )


def _is_over(target: Target, sample: Sample, promise: float | None) -> bool:
    if target.rules:
        return any(_is_over(rule, sample, promise) for rule in target.rules)
    own = target.seconds if isinstance(target, WaitTarget) else promise
    if own is not None:
        return sample.oldest_s > own
    if isinstance(target, PerContainerTarget):
        return sample.waiting + sample.running > target.length * max(1, sample.running)
    length = getattr(target, "length", None)
    return isinstance(length, int) and sample.waiting > length
