"""A container engine in virtual time, whose containers have jobs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from microscaling.demand.drain import Activity
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.containers.container import Operation, Work
from microscaling.scheduler.containers.looks import Look
from tests.scheduler.simulated_engine import Faults, Real, Reply, SimulatedEngine

STEP_S = 0.05


@dataclass
class Worker:
    """The job of one container."""

    until: float = 0.0
    """The end of its job; infinite for one that never ends."""
    quiet: bool = False
    """It takes no new job."""
    hidden: bool = False
    """Looks at it fail."""
    unseen: bool = False
    """Its source does not show it, and need not."""
    deaf: bool = False
    """Calls of it fail."""
    heard: list[str] = field(default_factory=list)


class BusyEngine(SimulatedEngine):
    """An engine that answers looks, and counts the jobs that a stop has ended."""

    def __init__(self, tasks: Tasks, seed: int = 3, faults: Faults | None = None) -> None:
        self.workers: dict[str, Worker] = {}
        self.killed: list[str] = []
        """Containers that got their SIGTERM in the middle of a job."""
        self.late: list[str] = []
        """Those of them whose time was up."""
        self.frozen_at_work: list[str] = []
        self.looks = 0
        super().__init__(tasks, random.Random(seed), faults or Faults(effect_s=0.1))

    def worker(self, id: str) -> Worker:
        return self.workers.setdefault(id, Worker())

    def is_busy(self, id: str) -> bool:
        return self.worker(id).until > self.now

    def pump(self) -> None:
        reconciler = self.reconciler
        for operation in reconciler.take():
            container = operation.container
            second = None
            if operation.work in (Work.STOP, Work.FREEZE):
                second = reconciler.drains.second_look(container)
            if second is not None:
                self.at(max(0.0, second - self.now), self._stop_if_idle, operation)
            elif not reconciler.call_off(operation, self.now):
                self.carry_out(operation, self._done)
        for look in reconciler.looks.due(self.now):
            self.at(0.01, self._look, look)

    def _stop_if_idle(self, operation: Operation) -> None:
        reconciler, container = self.reconciler, operation.container
        activity = self._activity(container.id)
        if reconciler.drains.last_look(container, activity, self.now):
            reconciler.reconcile_task(container.task, self.now)
        elif not reconciler.call_off(operation, self.now):
            self.carry_out(operation, self._done)

    def carry_out(self, operation: Operation, reply: Reply, by: object = None) -> None:
        container = operation.container
        if operation.work in (Work.QUIET, Work.RESUME):
            self.at(0.02, self._call, operation, reply)
            return
        if operation.work is Work.FREEZE and self.is_busy(container.id):
            self.frozen_at_work.append(container.id)
        if operation.work is Work.STOP and self.is_busy(container.id):
            self.killed.append(container.id)
            if container.drain is not None and container.drain.over:
                self.late.append(container.id)
        super().carry_out(operation, reply, by)

    def _call(self, operation: Operation, reply: Reply) -> None:
        worker = self.worker(operation.container.id)
        worker.heard.append(operation.work.name)
        if worker.deaf:
            reply(operation, PermanentError("the command has ended with code 1"), "")
            return
        worker.quiet = operation.work is Work.QUIET
        reply(operation, None, "")

    def _activity(self, id: str) -> Activity:
        self.looks += 1
        if self.worker(id).hidden or id not in self.real or not self.up:
            return Activity.UNKNOWN
        if self.worker(id).unseen:
            return Activity.UNSEEN
        return Activity.BUSY if self.is_busy(id) else Activity.IDLE

    def _look(self, look: Look) -> None:
        found = {c.id: self._activity(c.id) for c in look.containers}
        self.reconciler.looks.take(look, found, self.now)
        self.reconciler.reconcile_task(look.task, self.now)


class World:
    """An engine with its tasks, and the little of an agent that plans what is due."""

    def __init__(self, cap: int, *tasks: Task, seed: int = 3, faults: Faults | None = None) -> None:
        self.tasks = Tasks(tasks, cap)
        self.engine = BusyEngine(self.tasks, seed, faults)
        self.engine.list()
        self.engine.run(0.5)

    def decide(self, **demand: int) -> None:
        self.engine.decide(demand)

    def run(self, seconds: float) -> None:
        end = self.engine.now + seconds
        while self.engine.now < end - 1e-9:
            self.engine.run(STEP_S)
            self.engine.tick()
        assert not self.engine.excess, "more than the cap ran"

    def running(self, task: str = "") -> list[Real]:
        """The containers that run, the oldest first."""
        found = [r for r in self.engine.real.values() if r.state is State.RUNNING and task in ("", r.task)]
        orders = {c.id: c.order for c in self.engine.reconciler.all()}
        return sorted(found, key=lambda real: orders[real.id])

    def work(self, real: Real, seconds: float = float("inf"), **more: Any) -> Worker:
        """It has a job for so long."""
        worker = self.engine.worker(real.id)
        worker.until = self.engine.now + seconds
        for name, value in more.items():
            setattr(worker, name, value)
        return worker
