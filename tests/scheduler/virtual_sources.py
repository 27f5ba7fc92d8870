"""Queues that move, and sources that tell of them, or fail to."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from microscaling.demand.tasks import Tasks
from microscaling.errors import MetricError
from microscaling.metric.base import Metric, Source, whole_number

MODES = ("error", "hang", "slow", "drip", "garbage", "negative", "bug")
GARBAGE: tuple[Any, ...] = (None, "many", float("nan"), 2.5, True, 2**60, [])


@dataclass
class Queue:
    """What one task has to do, in items, and how that changes from beat to beat."""

    length: int = 0
    mode: str = "still"
    step: int = 0
    top: int = 1000

    def move(self, rng: random.Random, served: int) -> None:
        """One beat further; `served`: the containers at work on it."""
        if self.mode == "ramp":
            self.length += self.step
        elif self.mode == "noise":
            self.length += rng.randint(-self.step, self.step)
        elif self.mode == "work":  # items come in at a rate, and each container does ten a beat
            self.length += self.step - 10 * served
        elif self.mode == "jump" and rng.random() < 0.1:
            self.length = rng.choice([0, rng.randint(0, 100), self.top])
        self.length = max(0, min(self.top, self.length))

    def change(self, rng: random.Random, target: int) -> None:
        """Something else happens to it from now on."""
        self.mode = rng.choice(["still", "ramp", "noise", "work", "work", "jump"])
        self.step = rng.choice([-1, 1]) * rng.randint(1, 40) if self.mode == "ramp" else rng.randint(1, 120)
        self.top = rng.choice([2 * target, 20 * target])

    def rest(self, rng: random.Random, target: int) -> None:
        """From now on it stays as it is: well, too short, or too long."""
        self.mode = "still"
        self.length = rng.choice([0, int(0.85 * target), target, target + 1, 2 * target, 50 * target])


@dataclass
class SourceState:
    """How a source does; every agent asks through one of its own."""

    names: list[str]
    mode: str = ""
    until: float = 0.0
    queues: dict[str, Queue] = field(default_factory=dict)


class VirtualSource(Source):
    """Answers when the agenda says so."""

    def __init__(self, state: SourceState, number: int, clock: Any, rng: random.Random) -> None:
        self.key = self.name = f"source {number}"
        self.state, self.clock, self.rng = state, clock, rng
        self.answered_at = float("-inf")
        self.valid: set[str] = set()
        """The tasks that the last answer had a number for; none if there was no answer."""

    def delay(self) -> float:
        """How long it will take to answer, or not to."""
        mode, rng = self.state.mode, self.rng
        if mode == "hang":
            return 10.0
        if mode == "drip":
            return rng.uniform(1.0, 4.0)
        if mode == "slow":
            return rng.uniform(0.0, 1.0)
        return 0.0 if rng.random() < 0.9 else rng.uniform(0.0, 0.2)

    def fetch(self) -> dict[str, Any]:
        self.valid.clear()
        state, rng = self.state, self.rng
        if state.mode in ("error", "hang") or (state.mode == "bug" and rng.random() < 0.5):
            raise MetricError(f"{self.name} is away") if state.mode != "bug" else KeyError("depth")
        answer: dict[str, Any] = {name: queue.length for name, queue in state.queues.items()}
        if state.mode in ("garbage", "negative"):
            bad = rng.choice(state.names)
            answer[bad] = -7 if state.mode == "negative" else rng.choice(GARBAGE)
            self.valid.update(name for name in state.names if name != bad)
        else:
            self.valid.update(state.names)
        self.answered_at = self.clock()
        return answer


class Length(Metric):
    """The length of one task's queue."""

    def __init__(self, name: str, source: VirtualSource) -> None:
        self.name, self.source = name, source

    def read(self, answer: Any) -> int:
        return whole_number(answer[self.name], "depth")

    def is_fresh(self, now: float) -> bool:
        """Whether what it last said can be believed: no readings module was asked."""
        assert isinstance(self.source, VirtualSource)
        return self.name in self.source.valid and now - self.source.answered_at <= 1.5


def fresh_readings(tasks: Tasks, now: float) -> dict[str, bool]:
    """By task: whether there is a reading that can be believed. What asks nobody always has one."""
    return {t.name: not isinstance(t.metric, Length) or t.metric.is_fresh(now) for t in tasks.tasks}
