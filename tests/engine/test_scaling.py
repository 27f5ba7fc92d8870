"""The Go agent's decisions, replayed; and that ours are reached in another way, but are the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.scaling import allocate, measure, scaling_calculation
from microscaling.metric.toy import ToyMetric
from microscaling.target.remainder import RemainderTarget
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.vectors import load

CASES = load.cases("scaling")


def test_no_case_is_left_out() -> None:
    assert (len(CASES), sum(len(case["steps"]) for case in CASES)) == (300, 3600)


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_same_decisions(case: dict[str, Any]) -> None:
    tasks = Tasks([load.task(spec, case["env"]) for spec in case["tasks"]], case["max_containers"])
    for step in case["steps"]:
        for name, value in step["metrics"].items():
            tasks.get_task(name).metric.current = value
        changed = scaling_calculation(tasks)
        left = {t.name: {"demand": t.demand, "ideal_containers": t.ideal_containers} for t in tasks.tasks}
        assert (changed, left) == (step["changed"], step["result"])
        for name, then in step["then"].items():
            tasks.get_task(name).requested, tasks.get_task(name).running = then["requested"], then["running"]


small = st.integers(0, 6)


@st.composite
def any_task(draw: st.DrawFn, number: int = 0) -> Task:
    """Any state that a task could be in, likely or not."""
    requested = draw(small)
    least = draw(st.integers(0, 3))
    return Task(
        f"task{number}",
        demand=draw(small),
        requested=requested,
        running=draw(st.sampled_from([requested, requested, requested, draw(small)])),
        is_scalable=draw(st.sampled_from([True, True, True, False])),
        priority=draw(st.integers(1, 4)),
        max_delta=draw(small),
        min_containers=least,
        max_containers=draw(st.integers(0, 8)),
        target=draw(st.sampled_from([SimpleQueueLengthTarget(20), RemainderTarget(5)])),
        metric=ToyMetric(draw(st.sampled_from([0, 17, 20, 40]))),
        ideal_containers=draw(st.integers(-5, 15)),
    )


@st.composite
def any_tasks(draw: st.DrawFn) -> Tasks:
    made = [draw(any_task(number)) for number in range(draw(st.integers(1, 9)))]
    return Tasks(made, draw(st.integers(0, 25)))


def by_the_book(tasks: Tasks) -> tuple[list[int], bool]:
    """The rule in its plainest words: every task that is short asks every other one. What demand
    would become, and whether any was set."""
    demand = {task: task.demand for task in tasks.tasks}
    was_set = False
    order = sorted(tasks.tasks, key=lambda task: task.priority)
    settled = [task for task in order if task.is_scalable and task.running == task.requested]
    free = tasks.check_capacity()
    for task in settled:
        if task.requested != task.min_containers and task.scale_down_count() < 0:
            demand[task] = task.running + task.scale_down_count()
            free -= task.scale_down_count()
            was_set = True
    for task in settled:
        wants = task.scale_up_count()
        if wants <= 0:
            continue
        short = wants - free
        for victim in reversed(order) if not task.is_remainder() else []:
            gives = min(short, victim.can_scale_down())
            if victim.priority > task.priority and gives > 0:
                demand[victim] = victim.requested - gives
                short -= gives
                was_set = True
        if free > 0:
            demand[task] = task.running + min(free, wants)
            free -= min(free, wants)
            was_set = True
    return list(demand.values()), was_set


@settings(max_examples=1000, deadline=None)
@given(any_tasks())
def test_allocation_is_by_the_book(tasks: Tasks) -> None:
    expected = by_the_book(tasks)
    changed = allocate(tasks)
    assert ([task.demand for task in tasks.tasks], changed) == expected


@settings(deadline=None)
@given(any_tasks())
def test_every_change_of_demand_has_its_reason(tasks: Tasks) -> None:
    before = [task.demand for task in tasks.tasks]
    allocate(tasks)
    for task, demand in zip(tasks.tasks, before, strict=True):
        if task.demand != demand:  # it may also have been moved there and back
            assert task.reason is not None
        if task.reason is not None:
            assert task.reason.after == task.demand
            assert str(abs(task.reason.after - task.reason.before)) in str(task.reason)


def short(name: str, has: int, priority: int = 1, **more: Any) -> Task:
    """A task with a queue that is too long, so it wants up to 9 more."""
    fields = {"max_delta": 9, "max_containers": 20, "target": SimpleQueueLengthTarget(20), **more}
    made = Task(name, has, has, has, priority=priority, metric=ToyMetric(40), **fields)
    made.ideal_containers = has + 9
    return made


def demands(tasks: Tasks) -> dict[str, int]:
    return {task.name: task.demand for task in tasks.tasks}


@pytest.mark.parametrize(
    ("tasks", "expected", "why"),
    [
        ([short("a", 1, backing_off=True)], {"a": 1}, "the scheduler decides for it"),
        ([short("a", 1, held="no answer")], {"a": 1}, "its own reading is not fresh"),
        ([short("a", 1), short("b", 9, 2, held="no answer")], {"a": 1, "b": 0}, "held, but a is fresh"),
        (
            [short("a", 1), short("b", 9, 2, backing_off=True)],
            {"a": 1, "b": 9},
            "what it has is not to be taken by the engine",
        ),
        (
            [short("a", 1), short("b", 0, 2, backing_off=True)],
            {"a": 10, "b": 0},
            "capacity that a task which backs off does not request is free",
        ),
    ],
)
def test_held_and_backing_off(tasks: list[Task], expected: dict[str, int], why: str) -> None:
    shared = Tasks(tasks, 10)
    allocate(shared)
    assert demands(shared) == expected, why


def test_held_task_above_its_maximum_stays() -> None:
    tasks = Tasks([short("a", 9, max_containers=5, held="no answer")], 10)
    assert not allocate(tasks)


def test_reasons_say_who_gave_way_to_whom() -> None:
    tasks = Tasks([short("a", 3), short("b", 5, 2)], 10)
    allocate(tasks)
    said = [str(task.reason) for task in tasks.tasks]
    assert said[0] == "queue 40 of target 20: wants 9 more, 2 free, takes 2"
    assert said[1] == "gives 5 to a, which comes first and is short of 7"


def test_measure_keeps_the_ideal_of_a_held_task() -> None:
    free, held = short("a", 3), short("b", 3, held="no answer")
    measure(Tasks([free, held], 10))
    assert (free.ideal_containers, held.ideal_containers) == (4, 12)


def test_measure_measures_tasks_that_back_off() -> None:
    task = short("a", 3, backing_off=True)
    measure(Tasks([task], 10))
    assert task.ideal_containers == 4  # so that its velocity has no gap when it comes back


@pytest.mark.parametrize(("requested", "running", "settled"), [(3, 3, True), (3, 2, False), (2, 3, False)])
def test_measure_notes_who_has_settled(requested: int, running: int, settled: bool) -> None:
    task = Task("a", requested=requested, running=running, settled=not settled, reallocated=True)
    measure(Tasks([task], 10))
    assert (task.settled, task.reallocated) == (settled, False)


def test_effort_grows_with_the_tasks_not_with_their_square() -> None:
    """Counts looks at tasks, not seconds: all are short, and each could give one."""
    looks = 0

    class Watched(Task):
        def __getattribute__(self, name: str) -> Any:
            nonlocal looks
            looks += 1
            return super().__getattribute__(name)

    def effort(count: int) -> int:
        made = [
            Watched(
                f"task{i}", 2, 2, 2, priority=i + 1, max_delta=9, min_containers=1, max_containers=9,
                target=SimpleQueueLengthTarget(20), metric=ToyMetric(40), ideal_containers=9,
            )
            for i in range(count)
        ]  # fmt: skip
        before = looks
        allocate(Tasks(made, count))
        return looks - before

    assert 800 < effort(800) < 2.2 * effort(400)
