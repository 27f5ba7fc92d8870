"""Tasks and loads for simulated runs, and their figures."""

from __future__ import annotations

import math
import random
from typing import Any

from microscaling.demand.task import Task
from microscaling.simulate.fewest import work_within
from microscaling.simulate.shapes import Load, Rate
from microscaling.simulate.simulation import Run, World, simulate
from microscaling.target.base import Target


def task(name: str, target: Target, most: int = 40, **more: Any) -> Task:
    return Task(name, priority=1, max_containers=most, max_delta=most, target=target, **more)


def step(low: float = 5, high: float = 40, every_s: float = 100) -> Rate:
    return lambda t: low if (t // every_s) % 2 == 0 else high


def sine(middle: float = 25, swing: float = 20, period_s: float = 120) -> Rate:
    return lambda t: middle + swing * math.sin(2 * math.pi * t / period_s)


def spikes(low: float = 6, high: float = 45, every_s: float = 60, length_s: float = 12) -> Rate:
    return lambda t: high if t % every_s >= every_s - length_s else low


def walk(seed: int, low: float = 3, high: float = 45, step: float = 2.5, every_s: float = 2) -> Rate:
    rng, value, values = random.Random(seed), 20.0, []
    for _ in range(4000):
        value = min(high, max(low, value + rng.gauss(0, step)))
        values.append(value)
    return lambda t: values[int(t / every_s)]


def alone(target: Target, rate: Rate, world: World, most: int = 40, **load: Any) -> Run:
    """One task with this rule under this load."""
    return simulate([task("a", target, most)], most, {"a": Load("load", rate, **load)}, world)


def waits(run: Run, name: str = "a", since: float = 0.0) -> list[float]:
    """The waits of all jobs that came after a time (seconds), sorted."""
    return sorted(wait for came, wait in run.queues[name].all_waits() if came >= since)


def p99(run: Run, name: str = "a", since: float = 0.0) -> float:
    found = waits(run, name, since)
    return found[int(0.99 * len(found))]


def moves(run: Run) -> int:
    return sum(group.starts + group.stops for group in run.containers.groups)


def times_fewest(run: Run, name: str = "a") -> float:
    """The containers that ran, as a multiple of those that the work needs."""
    group = next(group for group in run.containers.groups if group.task.name == name)
    work_s = work_within(run.queues[name].jobs, run.queues[name].now)
    return group.container_s / work_s
