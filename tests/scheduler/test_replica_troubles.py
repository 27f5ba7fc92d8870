"""What an orchestrator is asked for while instances fail or find no place, others change the number, or an
update is under way; in virtual time."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from microscaling.demand import limits
from microscaling.demand.change import Change
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.scaling import allocate, guard, measure
from microscaling.scheduler.replicas.reconciler import ReplicaReconciler, Replicas, ScaleRequest
from microscaling.target.queue import QueueLengthTarget
from microscaling.target.remainder import RemainderTarget
from tests.scheduler.test_replica_reconciler import demand, read, reconciler_of, requests

UPDATING = "it is being updated, and is not scaled until that has ended"


def accept(reconciler: ReplicaReconciler, now: float) -> list[ScaleRequest]:
    """What is asked for now, and accepted."""
    asked = requests(reconciler, now)
    for one in asked:
        reconciler.on_done(one, None, now)
    return asked


def steady(count: int, **more: object) -> Replicas:
    return replace(Replicas(count, count, steady=count), **more)  # type: ignore[arg-type]


def task_of(reconciler: ReplicaReconciler, name: str = "a") -> Task:
    return reconciler.states[name].task


def failing(count: int = 3) -> tuple[str, ...]:
    return ("task failed: non-zero exit (3)",) * count


def test_after_three_failures_in_a_row_its_share_is_free_for_others() -> None:
    reconciler = reconciler_of(a=5, b=0)
    demand(reconciler, a=5, b=0)
    read(reconciler, 1.0, a=Replicas(5, 2, steady=2, failures=failing(2)))
    assert not task_of(reconciler).backing_off
    read(reconciler, 2.0, a=Replicas(5, 2, steady=2, failures=failing(1)))
    a = task_of(reconciler)
    assert (a.backing_off, a.demand) == (True, 2)
    assert a.failure is not None
    assert a.failure.why == failing()[0]
    assert a.failure.retry_at == 3.0
    assert accept(reconciler, 2.0) == [ScaleRequest("a", 2)]
    assert a.backing_off, "an accepted request is no end of the back-off"
    assert demand(reconciler, 2.0, b=8) == [ScaleRequest("b", 8)]


def test_one_that_holds_in_between_starts_the_count_anew() -> None:
    reconciler = reconciler_of(a=3)
    read(reconciler, 1.0, a=Replicas(3, 1, failures=failing(2)))
    read(reconciler, 7.0, a=Replicas(3, 2, steady=1))
    read(reconciler, 8.0, a=Replicas(3, 2, steady=1, failures=failing(2)))
    assert not task_of(reconciler).backing_off


def backed_off(cap: int = 10, **others: int) -> ReplicaReconciler:
    """A task of 3 whose instances all fail; it was scaled to 0 at 1."""
    reconciler = reconciler_of(cap, a=3, **others)
    for task in reconciler.tasks.tasks:
        task.max_containers = 10
    read(reconciler, 1.0, a=Replicas(3, 0, failures=failing()))
    assert accept(reconciler, 1.0) == [ScaleRequest("a", 0)]
    return reconciler


def test_it_is_tried_again_after_1_s_doubling() -> None:
    reconciler = backed_off()
    read(reconciler, 1.9, a=Replicas(0, 0))
    assert requests(reconciler, 1.9) == []
    read(reconciler, 2.0, a=Replicas(0, 0))
    assert accept(reconciler, 2.0) == [ScaleRequest("a", 1)]
    read(reconciler, 3.0, a=Replicas(1, 0, failures=failing(1)))
    assert accept(reconciler, 3.0) == [ScaleRequest("a", 0)]
    read(reconciler, 4.9, a=Replicas(0, 0))
    assert requests(reconciler, 4.9) == []
    read(reconciler, 5.0, a=Replicas(0, 0))
    assert accept(reconciler, 5.0) == [ScaleRequest("a", 1)]


def test_a_probe_that_holds_ends_it() -> None:
    reconciler = backed_off()
    read(reconciler, 2.0, a=Replicas(0, 0))
    accept(reconciler, 2.0)
    read(reconciler, 4.0, a=Replicas(1, 1))
    assert task_of(reconciler).backing_off, "it has only just begun"
    read(reconciler, 8.0, a=Replicas(1, 1, steady=1))
    assert not task_of(reconciler).backing_off
    assert task_of(reconciler).failure is None
    assert demand(reconciler, 8.0, a=5) == [ScaleRequest("a", 5)]


def test_a_probe_needs_a_place() -> None:
    reconciler = backed_off(cap=5, b=2)
    task_of(reconciler, "b").target = QueueLengthTarget(10)
    assert demand(reconciler, 1.0, b=5) == [ScaleRequest("b", 5)]
    reconciler.on_done(ScaleRequest("b", 5), None, 1.0)
    read(reconciler, 3.0, a=Replicas(0, 0), b=Replicas(5, 5))
    assert requests(reconciler, 3.0) == []
    task_of(reconciler, "b").target = RemainderTarget(10)
    read(reconciler, 30.0, a=Replicas(0, 0), b=Replicas(5, 5))
    assert accept(reconciler, 30.0) == [ScaleRequest("b", 4)]
    assert accept(reconciler, 30.0) == [ScaleRequest("a", 1)]


def test_an_update_ends_the_back_off_as_it_may_have_mended_it() -> None:
    reconciler = backed_off()
    read(reconciler, 1.1, a=Replicas(0, 0, update=UPDATING))
    read(reconciler, 1.2, a=Replicas(0, 0))
    assert not task_of(reconciler).backing_off


def test_during_an_update_nothing_is_asked_for_and_it_counts_with_what_it_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    reconciler = reconciler_of(a=4, b=6)
    read(reconciler, 1.0, a=Replicas(4, 2, update=UPDATING, failures=failing()))
    a = task_of(reconciler)
    assert (a.resting, a.backing_off) == (UPDATING, True)
    assert demand(reconciler, 1.0, a=9) == demand(reconciler, 1.0, a=0) == []
    measure(reconciler.tasks)
    allocate(reconciler.tasks)
    guard(reconciler.tasks)
    assert task_of(reconciler, "b").demand == 6
    read(reconciler, 60.0, a=Replicas(4, 4, update=UPDATING))
    assert requests(reconciler, 60.0) == []
    read(reconciler, 61.0, a=Replicas(4, 4))
    assert (a.resting, a.backing_off) == ("", False)
    assert requests(reconciler, 61.0) == [ScaleRequest("a", 0)]
    said = [one.getMessage() for one in caplog.records if one.getMessage().startswith("a: it is")]
    assert said == [f"a: {UPDATING}", "a: it is scaled again"]


def test_at_the_end_an_update_is_waited_for_too() -> None:
    reconciler = reconciler_of(a=4)
    read(reconciler, 1.0, a=Replicas(4, 2, update=UPDATING))
    reconciler.drain()
    assert requests(reconciler, 1.0) == []
    assert not reconciler.idle
    read(reconciler, 2.0, a=Replicas(4, 4))
    assert requests(reconciler, 2.0) == [ScaleRequest("a", 0)]


def test_what_somebody_else_sets_is_left_alone_for_2_s_and_longer_the_next_time() -> None:
    reconciler = reconciler_of(a=4)
    reconciler.waits_for_others = True
    times = []
    now = 10.0
    for _ in range(4):
        read(reconciler, now, a=Replicas(1, 1))
        set_at = now
        while not accept(reconciler, now):
            now += 0.5
        times.append(now - set_at)
        read(reconciler, now + 1.0, a=Replicas(4, 4))
        now += 2.0
    assert times == [2.0, 5.0, 10.0, 30.0]
    now += 60.0
    read(reconciler, now, a=Replicas(1, 1))
    assert requests(reconciler, now + 1.9) == []
    assert accept(reconciler, now + 2.0) == [ScaleRequest("a", 4)]


def test_a_reset_by_a_deploy_is_put_right_after_its_update() -> None:
    reconciler = reconciler_of(a=4)
    reconciler.waits_for_others = True
    read(reconciler, 1.0, a=Replicas(1, 4, update=UPDATING))
    read(reconciler, 9.0, a=Replicas(1, 1, update=UPDATING))
    assert requests(reconciler, 9.0) == []
    read(reconciler, 10.0, a=Replicas(1, 1))
    assert requests(reconciler, 10.0) == [ScaleRequest("a", 4)]


def short(name: str, priority: int, wants: int) -> Task:
    """One that always wants so many."""
    target = RemainderTarget(wants)
    return Task(name, priority=priority, max_containers=wants, max_delta=wants, target=target)


def pending(requested: int, count: int, key: int = 0) -> Replicas:
    here = requested - count
    words = f"{count} pending: no suitable node"
    return Replicas(requested, here, pending=count, unplaced=words, room_key=key, steady=here)


def decide(tasks: Tasks) -> None:
    measure(tasks)
    allocate(tasks)
    guard(tasks)


def test_what_is_pending_for_30_s_gives_its_place_to_the_next_lower_priority() -> None:
    tasks = Tasks([short("a", 1, 8), short("b", 2, 8)], 10)
    reconciler = ReplicaReconciler(tasks, "Fake", "service")
    read(reconciler, 0.0, a=Replicas(5, 5), b=Replicas(0, 0))
    reconciler.acting = True
    demand(reconciler, 0.0, a=8, b=2)
    for one in (ScaleRequest("a", 8), ScaleRequest("b", 2)):
        reconciler.on_done(one, None, 0.0)
    for second in range(1, 31):
        read(reconciler, float(second), a=pending(8, 3), b=Replicas(2, 2))
        decide(tasks)
        assert accept(reconciler, float(second)) == []
    a, b = tasks.tasks
    read(reconciler, 31.0, a=pending(8, 3), b=Replicas(2, 2))
    assert (a.room, a.demand) == (5, 5)
    assert accept(reconciler, 31.0) == [ScaleRequest("a", 5)]
    for second in range(32, 100):
        now = float(second)
        read(reconciler, now, a=Replicas(5, 5), b=Replicas(b.requested, b.requested))
        decide(tasks)
        accept(reconciler, now)
    assert (a.demand, b.demand) == (5, 5)
    read(reconciler, 100.0, a=Replicas(5, 5, room_key=1), b=Replicas(5, 5))
    assert a.room is None, "a node has come"
    decide(tasks)
    decide(tasks)
    assert (a.demand, b.demand) == (5, 5), "two remainders: the first does not take from the second"


def test_with_no_place_a_task_can_still_be_asked_to_give_way() -> None:
    tasks = Tasks([short("b", 2, 8)], 10)
    reconciler = ReplicaReconciler(tasks, "Fake", "service")
    read(reconciler, 0.0, b=Replicas(8, 5))
    reconciler.acting = True
    b = tasks.tasks[0]
    for second in (1.0, 32.0):
        read(reconciler, second, b=pending(8, 3))
    assert b.room == 5
    assert not b.backing_off
    accept(reconciler, 32.0)
    assert b.can_scale_down() == 5


def test_a_new_number_starts_the_30_s_anew() -> None:
    reconciler = reconciler_of(a=8)
    read(reconciler, 1.0, a=pending(8, 3))
    read(reconciler, 20.0, a=pending(7, 2))
    read(reconciler, 40.0, a=pending(7, 2))
    assert task_of(reconciler).room is None
    read(reconciler, 50.0, a=pending(7, 2))
    assert task_of(reconciler).room == 5


def test_what_is_pending_only_after_a_while_counts_from_then_on() -> None:
    """As when the tasks are still on their way to a node at the first look."""
    reconciler = reconciler_of(a=8)
    read(reconciler, 1.0, a=Replicas(8, 0))
    read(reconciler, 10.0, a=pending(8, 3))
    read(reconciler, 39.0, a=pending(8, 3))
    assert task_of(reconciler).room is None
    read(reconciler, 40.0, a=pending(8, 3))
    assert task_of(reconciler).room == 5
    accept(reconciler, 40.0)
    for now in (41.0, 72.0):  # a node is lost
        read(reconciler, now, a=pending(5, 2))
    assert task_of(reconciler).room == 3


def test_without_a_sign_it_is_tried_again_after_5_minutes() -> None:
    reconciler = reconciler_of(a=8)
    read(reconciler, 1.0, a=pending(8, 3))
    read(reconciler, 31.0, a=pending(8, 3))
    accept(reconciler, 31.0)
    read(reconciler, 330.0, a=Replicas(5, 5))
    assert task_of(reconciler).room == 5
    read(reconciler, 331.0, a=Replicas(5, 5))
    assert task_of(reconciler).room is None


def test_tasks_come_and_go() -> None:
    reconciler = reconciler_of(a=4, b=2)
    tasks = reconciler.tasks
    (call,) = demand(reconciler, b=3)
    limits.reconfigure(tasks, Change((Task("c", max_containers=8),), frozenset({"b"})))
    reconciler.follow()
    reconciler.on_done(call, None, 1.0)
    read(reconciler, 1.0, a=Replicas(4, 4), b=Replicas(3, 3), c=Replicas(6, 6))
    assert {t.name: (t.demand, t.requested) for t in tasks.tasks} == {"a": (4, 4), "c": (6, 6)}
    assert requests(reconciler, 1.0) == []


def test_what_is_on_its_way_out_does_not_serve() -> None:
    """As while an update replaces them: two of each kind run."""
    reconciler = reconciler_of(a=4)
    read(reconciler, 1.0, a=Replicas(4, 4, stopping=2))
    assert task_of(reconciler).serving() == 2


def test_one_that_stands_by_follows_and_asks_for_nothing() -> None:
    reconciler = reconciler_of(a=4)
    reconciler.waits_for_others = True
    reconciler.stand_by()
    assert demand(reconciler, a=9) == []
    read(reconciler, 1.0, a=Replicas(6, 5, failures=failing()))
    a = task_of(reconciler)
    assert (a.demand, a.requested, a.running, a.backing_off) == (6, 6, 5, False)
    assert requests(reconciler, 1.0) == []
    assert reconciler.next_due() is None
    reconciler.standing_by = False
    assert demand(reconciler, 2.0, a=7) == [ScaleRequest("a", 7)]


def test_at_its_end_one_that_stands_by_leaves_all_to_the_other() -> None:
    reconciler = reconciler_of(a=4)
    reconciler.stand_by()
    reconciler.drain()
    reconciler.standing_by = False
    assert requests(reconciler, 1.0) == []
    assert reconciler.idle


def test_one_that_loses_the_lease_at_its_end_says_what_is_left() -> None:
    reconciler = reconciler_of(a=4)
    reconciler.drain()
    reconciler.stand_by()
    assert requests(reconciler, 1.0) == []
    assert not reconciler.idle
    assert reconciler.left() == ["4 of a"]
