"""Drains while everything fails that can: at random, in virtual time."""

from __future__ import annotations

import random

import pytest

from microscaling.demand.drain import Activity, Busy, Drain, Way
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.containers.container import Operation, Phase, Work
from microscaling.scheduler.containers.listing import Listing
from microscaling.scheduler.containers.reconciler import ContainerReconciler
from tests.scheduler.busy_engine import BusyEngine
from tests.scheduler.simulated_engine import Faults, Reply

CAP = 8
DRAINS = (
    Drain(seconds=30),
    Drain("TSTP", seconds=20),
    Drain("TSTP", seconds=25, resume_signal="CONT"),
    Drain("USR1", seconds=40, seconds_for_others=10),
)


class Storm(BusyEngine):
    """Containers have jobs at random, and the agent is restarted now and then."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.choose = random.Random(seed)
        self.broken: list[str] = []
        super().__init__(self._tasks(), seed, faults)

    def _tasks(self) -> Tasks:
        drains = random.Random(self.choose.random())
        found = []
        for priority, name in enumerate("abc"):
            task = Task(name, priority=priority, max_containers=CAP, max_delta=CAP)
            task.busy = Busy(self.choose.choice([Way.FILE, Way.EXEC, Way.HTTP]), "/busy")
            task.drain = drains.choice(DRAINS)
            found.append(task)
        return Tasks(found, CAP)

    def carry_out(self, operation: Operation, reply: Reply, by: object = None) -> None:
        container = operation.container
        watch, drain = container.watch, container.drain
        if operation.work is Work.STOP and not (drain is not None and drain.over):
            if watch.activity is Activity.BUSY and self.now - watch.looked < 1.0:
                self.broken.append(f"{self.now:.2f} {container.id} was busy at {watch.looked:.2f}")
            options = container.task.drain
            if self.is_busy(container.id) and container.phase is Phase.STOPPING and options is not None:
                self.broken.append(f"{self.now:.2f} {container.id} had a job")
        super().carry_out(operation, reply, by)

    def work(self) -> None:
        """Some begin a job, some of them for ever; looks and calls fail for a while."""
        for real in self.real.values():
            worker, chance = self.worker(real.id), self.choose.random()
            if real.state is State.RUNNING and not worker.quiet and worker.until <= self.now and chance < 0.3:
                worker.until = self.now + self.choose.choice([0.3, 2.0, 15.0, float("inf")])
            worker.hidden, worker.deaf = chance > 0.95, 0.9 < chance < 0.93

    def restart(self) -> None:
        """The agent is killed, and the next one finds what it has left."""
        kept = self.reconciler.drains.kept()
        self.reconciler = ContainerReconciler(self.tasks)
        self.reconciler.kept = kept
        self.listing = Listing(self.reconciler)
        self.list()

    def calm(self) -> None:
        """From now on nothing fails, and all jobs end."""
        self.faults = Faults()
        self.up = True
        for real in self.real.values():
            worker = self.worker(real.id)
            worker.until, worker.hidden, worker.deaf = min(worker.until, self.now + 5), False, False


def pass_time(engine: Storm, seconds: float) -> None:
    end = engine.now + seconds
    while engine.now < end:
        engine.run(0.1)
        if engine.reconciler.adopted:
            engine.tick()
        if round(engine.now * 10) % 20 == 0 and engine.up:
            engine.list()


@pytest.mark.parametrize("seed", range(18))
def test_whatever_fails(seed: int) -> None:
    faults = Faults(lost_reply=0.05, lost_event=0.1, repeated_event=0.1, dies=0.02, away=0.02, effect_s=0.3)
    engine = Storm(seed, faults if seed % 3 else Faults())
    rng = engine.choose
    engine.list()
    pass_time(engine, 1)
    for _ in range(40):
        if engine.reconciler.adopted:
            share = sorted(rng.randint(0, CAP) for _ in range(2))
            counts = (share[0], share[1] - share[0], CAP - share[1])
            engine.decide(dict(zip("abc", counts, strict=True)))
        engine.work()
        pass_time(engine, rng.choice([0.5, 1.0, 3.0]))
        if rng.random() < 0.08:
            engine.restart()
            pass_time(engine, 1)
        if rng.random() < 0.05:
            engine.go_away(killing=rng.random() < 0.5)
            pass_time(engine, 2)
            engine.up = True
            engine.list()
    assert not engine.excess, "more than the cap ran"
    assert not engine.broken
    engine.calm()
    engine.list()
    pass_time(engine, 60)
    engine.decide({"a": 4, "b": 0, "c": 4})
    engine.calm()
    pass_time(engine, 120)
    tasks = {task.name: task for task in engine.tasks.tasks}
    wanted = {name: task.demand for name, task in tasks.items()}
    assert {name: engine.running(name) for name in tasks} == wanted
    assert not engine.excess
    assert not engine.broken
