"""A decider in virtual time, told at each beat what every queue says; its scheduler is done at once."""

from __future__ import annotations

from typing import Any

from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.metric.base import Metric, Source
from microscaling.target.simple_queue import SimpleQueueLengthTarget

BEAT_S = 0.5
CAP = 20
TARGET = 50


class Queue(Source):
    """Never asked: the beats say what it answers."""

    def __init__(self, name: str) -> None:
        self.name = self.key = name

    def fetch(self) -> Any:
        raise AssertionError("there are no threads here")


class Length(Metric):
    def __init__(self, name: str) -> None:
        self.source = Queue(name)

    def read(self, answer: Any) -> Any:
        return answer


class Primed(SimpleQueueLengthTarget):
    """Counts how often its velocity was primed anew."""

    __slots__ = ("resets",)

    def __init__(self, length: int = TARGET) -> None:
        super().__init__(length)
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1


def queue_task(name: str, has: int, priority: int = 1, **more: Any) -> Task:
    """A settled task of `has` containers, measured by a source of its own."""
    fields = {"max_containers": CAP, "max_delta": CAP, "target": Primed(), **more}
    return Task(name, has, has, has, priority=priority, metric=Length(name), **fields)


def falls_back(containers: int, threshold: int = 3) -> dict[str, Any]:
    return {"fallback": Fallback(threshold, containers)}


class Driven:
    """What a beat leaves undone stays so: only `settle` starts and stops containers."""

    def __init__(self, *tasks: Task, cap: int = CAP, window_s: float = 0.0) -> None:
        self.tasks = Tasks(tasks, cap)
        self.readings = Readings(tasks, 3 * BEAT_S)
        self.decider = Decider(self.tasks, self.readings, window_s)
        self.now = 1000.0

    def measure(self, **answers: Any) -> list[int]:
        """One beat; a task that is not named fails, and so does one whose number is bad. Returns what
        each is to have."""
        for poll in self.readings.start(self.now, BEAT_S / 4):
            answer = answers.get(poll.source.name)
            poll.finish(self.now, answer, "refused" if answer is None else "")
        self.decider.beat(self.now)
        self.now += BEAT_S
        return self.demand()

    def beat(self, **answers: Any) -> list[int]:
        """The same, and the scheduler is done before the next."""
        self.measure(**answers)
        self.settle()
        return self.demand()

    def settle(self) -> None:
        for task in self.tasks.tasks:
            task.requested = task.running = task.demand
        self.decider.reallocate()
        for task in self.tasks.tasks:
            task.requested = task.running = task.demand

    def demand(self) -> list[int]:
        return [task.demand for task in self.tasks.tasks]

    def for_s(self, seconds: float, **answers: Any) -> list[int]:
        """Beats for so long; returns what each is to have then."""
        for _ in range(round(seconds / BEAT_S)):
            self.beat(**answers)
        return self.demand()
