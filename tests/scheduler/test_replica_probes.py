"""What an orchestrator has refused is tried again without taking anything from what works.."""

from __future__ import annotations

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine import scaling
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.replicas.reconciler import ReplicaReconciler, Replicas, ScaleRequest
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget

CAP = 10
FULL, EMPTY = 1000, 0


def requests(reconciler: ReplicaReconciler, now: float) -> list[ScaleRequest]:
    """What is asked for now."""
    reconciler.reconcile(now)
    return reconciler.take()


class Day:
    """An orchestrator that refuses more of one task, and the engine's decisions twice a second."""

    def __init__(self, *tasks: Task, **there: int) -> None:
        self.tasks = Tasks(tasks, CAP)
        self.reconciler = ReplicaReconciler(self.tasks, "Fake", "app")
        self.there, self.now = there, 0.0
        self.refuses, self.asked = "", 0
        self.silent, self.times_out = "", True
        self._look()
        self.reconciler.acting = True

    def _look(self) -> None:
        counts = {name: Replicas(n, n) for name, n in self.there.items()}
        self.reconciler.apply(counts, self.reconciler.mark(), self.now)

    def queue(self, name: str, length: int) -> None:
        self.tasks.get_task(name).metric.current = length

    def pass_s(self, seconds: float) -> dict[str, int]:
        """Returns the fewest that there were of each meanwhile."""
        least, end = dict(self.there), self.now + seconds
        while self.now < end:
            self.now += 0.5
            self._look()
            scaling.measure(self.tasks)
            scaling.allocate(self.tasks)
            scaling.guard(self.tasks)
            for call in requests(self.reconciler, self.now):
                if call.name == self.silent:
                    if self.times_out:
                        self.reconciler.on_done(call, TemporaryError("no answer within 10 s"), self.now)
                    continue
                refused = call.name == self.refuses and call.instances > self.there[call.name]
                self.asked += refused
                if not refused:
                    self.there[call.name] = call.instances
                error = PermanentError("exceeded quota") if refused else None
                self.reconciler.on_done(call, error, self.now)
            assert sum(self.there.values()) <= CAP
            least = {name: min(n, self.there[name]) for name, n in least.items()}
        return least


def queue(name: str, priority: int) -> Task:
    task = Task(name, priority=priority, max_containers=CAP, max_delta=CAP)
    task.target = SimpleQueueLengthTarget(50)
    return task


def remainder() -> Task:
    task = Task("rest", priority=9, max_containers=CAP, max_delta=CAP)
    task.target = RemainderTarget(CAP)
    return task


@pytest.mark.parametrize(("failing", "works"), [(1, 2), (2, 1)], ids=["more important fails", "lesser fails"])
def test_no_try_takes_from_what_works(failing: int, works: int) -> None:
    day = Day(queue("fails", failing), queue("works", works), fails=2, works=2)
    day.refuses = "fails"
    day.queue("fails", FULL)
    day.queue("works", FULL)
    day.pass_s(30)
    had = day.there["works"]
    assert had >= 7
    tries = day.asked
    assert day.pass_s(600)["works"] >= had
    assert day.asked > tries or failing > works, "it is tried all the same"
    day.refuses = ""
    day.queue("works", EMPTY)
    day.pass_s(200)
    assert day.there == {"fails": CAP, "works": 0}


def test_what_comes_first_gets_its_share_as_soon_as_it_is_accepted() -> None:
    day = Day(queue("fails", 1), queue("works", 2), fails=2, works=2)
    day.refuses = "fails"
    day.queue("fails", FULL)
    day.queue("works", FULL)
    day.pass_s(60)
    day.refuses = ""
    day.pass_s(200)
    assert day.there == {"fails": CAP, "works": 0}
    assert day.tasks.occupied == 0


def test_what_soaks_up_the_rest_gives_one_for_a_try() -> None:
    day = Day(queue("fails", 1), queue("works", 2), remainder(), fails=2, works=2, rest=6)
    day.refuses = "fails"
    day.queue("fails", FULL)
    day.queue("works", 50)
    day.pass_s(10)
    tries = day.asked
    least = day.pass_s(600)
    assert (least["works"], least["rest"]) == (2, 5)
    assert day.asked > tries
    assert day.tasks.occupied == 0


def test_what_has_never_run_is_planned_as_any_other() -> None:
    day = Day(queue("fails", 1), queue("works", 2), fails=0, works=5)
    day.refuses = "fails"
    day.queue("fails", FULL)
    day.queue("works", FULL)
    day.pass_s(100)
    day.refuses = ""
    day.pass_s(100)
    assert day.there["fails"] == CAP


@pytest.mark.parametrize("times_out", [True, False], ids=["time-outs", "never answered"])
def test_a_scale_down_without_an_answer_starves_nobody(times_out: bool) -> None:
    front, middle, batch = queue("front", 1), queue("middle", 2), queue("batch", 3)
    day = Day(front, middle, batch, front=0, middle=3, batch=7)
    day.silent, day.times_out = "batch", times_out
    day.queue("front", FULL)
    day.queue("middle", FULL)
    day.queue("batch", FULL)
    day.pass_s(90)
    assert day.there == {"front": 3, "middle": 0, "batch": 7}
    assert day.tasks.occupied_by == "7 of batch not scaled down by the orchestrator"
    assert (batch.demand, batch.requested, batch.stopping) == (0, 0, 7)


def test_what_it_carries_out_in_the_end_is_free_again() -> None:
    front, batch = queue("front", 1), queue("batch", 3)
    day = Day(front, batch, front=3, batch=7)
    day.silent = "batch"
    day.queue("front", FULL)
    day.pass_s(90)
    assert day.there == {"front": 3, "batch": 7}
    day.there["batch"] = 0  # the last call was carried out after all
    day.silent = ""
    day.pass_s(30)
    assert day.there == {"front": 10, "batch": 0}
    assert (day.tasks.occupied, batch.requested) == (0, 0)


def test_what_is_wanted_again_meanwhile_is_there_already() -> None:
    front, batch = queue("front", 1), queue("batch", 3)
    day = Day(front, batch, front=0, batch=7)
    day.silent = "batch"
    day.pass_s(90)
    assert (batch.demand, day.tasks.occupied) == (0, 7)
    day.queue("batch", FULL)
    day.pass_s(30)
    assert batch.demand > 7, "it wants more than that"
    assert (batch.requested, day.tasks.occupied) == (7, 0)
