"""The list of tasks, its order and its lock; the reasons that tasks carry."""

from __future__ import annotations

import threading

import pytest

from microscaling.demand.container import ContainerOptions
from microscaling.demand.reason import GAVE_WAY, TOOK, UP, Reason
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.metric.null import NullMetric
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget


def named(names: str) -> Tasks:
    """One task a letter; its priority is the digit after it."""
    pairs = zip(names[::2], names[1::2], strict=True)
    return Tasks([Task(name, priority=int(priority)) for name, priority in pairs], 10)


def letters(tasks: list[Task]) -> str:
    return "".join(task.name for task in tasks)


@pytest.mark.parametrize(
    ("names", "reverse", "order"),
    [
        ("a3b1c2", False, "bca"),
        ("a3b1c2", True, "acb"),
        ("a1b2c1d2", False, "acbd"),  # ties keep their order
        ("a1b2c1d2", True, "bdac"),  # in reverse too
        ("", False, ""),
    ],
)
def test_priority_sort(names: str, reverse: bool, order: str) -> None:
    tasks = named(names)
    tasks.priority_sort(reverse)
    assert letters(tasks.tasks) == order


def test_by_priority_leaves_the_list_alone() -> None:
    tasks = named("a3b1c2")
    assert letters(tasks.by_priority()) == "bca"
    assert letters(tasks.tasks) == "abc"


def test_by_priority_sorts_only_when_something_has_changed() -> None:
    tasks = named("a3b1c2")
    first = tasks.by_priority()
    assert tasks.by_priority() is first
    tasks.get_task("a").priority = 0
    assert letters(tasks.by_priority()) == "abc"


def test_by_priority_follows_the_list() -> None:
    tasks = named("a3b1c2")
    tasks.by_priority()
    tasks.tasks.append(Task("d", priority=2))
    assert letters(tasks.by_priority()) == "bcda"
    tasks.tasks[1] = Task("e", priority=1)
    assert letters(tasks.by_priority()) == "ecda"
    tasks.tasks = []
    assert tasks.by_priority() == []


def test_capacity_counts_what_is_requested() -> None:
    tasks = Tasks([Task("a", requested=3, running=9), Task("b", requested=9, demand=1)], 10)
    assert tasks.check_capacity() == -2


@pytest.mark.parametrize(("running", "exited"), [((), True), ((0, 0), True), ((0, 1), False)])
def test_exited(running: tuple[int, ...], exited: bool) -> None:
    tasks = Tasks([Task(str(i), demand=5, requested=5, running=n) for i, n in enumerate(running)], 10)
    assert tasks.exited() is exited


def test_get_task() -> None:
    tasks = named("a1b2")
    assert tasks.get_task("b") is tasks.tasks[1]
    with pytest.raises(KeyError, match="nobody"):
        tasks.get_task("nobody")


def test_lock_is_held_within_with_and_may_be_taken_twice() -> None:
    tasks = named("a1")
    got: list[bool] = []
    with tasks, tasks as again:
        thread = threading.Thread(target=lambda: got.append(tasks.lock.acquire(blocking=False)))
        thread.start()
        thread.join()
    assert again is tasks
    assert got == [False]
    assert tasks.lock.acquire(blocking=False)
    tasks.lock.release()


def test_lock_is_let_go_when_something_fails() -> None:
    tasks = named("a1")
    with pytest.raises(ZeroDivisionError), tasks:
        1 / 0  # noqa: B018
    thread = threading.Thread(target=tasks.__enter__)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_task_needs_only_a_name() -> None:
    task = Task("a")
    assert (task.demand, task.requested, task.running, task.is_scalable) == (0, 0, 0, True)
    assert task.is_remainder()
    assert isinstance(task.metric, NullMetric)
    assert task.container == ContainerOptions(stop_grace_s=1.0)
    assert (task.held, task.backing_off, task.reason) == ("", False, None)


def test_tasks_of_the_same_name_are_two_tasks() -> None:
    assert Task("a") != Task("a")
    assert len({Task("a"), Task("a")}) == 2


def test_default_lists_are_not_shared() -> None:
    Task("a").env.append("X=1")
    assert Task("b").env == []


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (
            Reason(UP, 1, 3, 7, 2, target=SimpleQueueLengthTarget(50), current=120),
            "queue 120 of target 50: wants 7 more, 2 free, takes 2",
        ),
        (
            Reason(TOOK, 1, 6, 5, 3, "b", QueueLengthTarget(50), 120, given=2),
            "queue 120 of target 50: wants 5 more, takes 5, of them 2 from b",
        ),
        (Reason(GAVE_WAY, 9, 1, 8, other="a"), "gives 8 to a, which comes first and is short of 8"),
        (Reason("the scheduler's {own} words", 9, 1), "the scheduler's {own} words"),
    ],
)
def test_reason_is_a_sentence(reason: Reason, sentence: str) -> None:
    assert str(reason) == sentence
    assert sentence in repr(reason)
