"""While the scheduler holds all tasks nothing is decided."""

from __future__ import annotations

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.decider import Decider
from microscaling.engine.readings import Readings
from microscaling.target.remainder import RemainderTarget


def test_nothing_is_decided_while_all_tasks_are_held() -> None:
    task = Task("a", target=RemainderTarget(5), min_containers=1, max_containers=5, max_delta=4)
    tasks = Tasks([task], 5)
    decider = Decider(tasks, Readings(tasks.tasks, 1.5))
    tasks.hold = "a second agent is at work"
    assert not decider.beat(0.0)
    assert not decider.reallocate()
    assert task.demand == 0
    tasks.hold = ""
    assert decider.beat(0.5)
    assert task.demand == 4
