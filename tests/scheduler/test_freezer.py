"""Containers that are frozen in place of being stopped, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from microscaling.demand.drain import Busy, Drain, Way
from microscaling.demand.frozen import Yielding
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.backend import Event, State
from microscaling.scheduler.containers.container import Phase
from microscaling.scheduler.containers.drain_file import Kept
from microscaling.scheduler.containers.views import views
from tests.scheduler.busy_engine import World
from tests.scheduler.simulated_engine import Faults, Real, SimulatedEngine, small_world

CAP = 8


ALL = Yielding(8)


def make(yielding: Yielding | None = ALL, faults: Faults | None = None, seed: int = 1) -> SimulatedEngine:
    world = small_world(random.Random(seed), faults or Faults(effect_s=0.05), CAP)
    for task in world.tasks.tasks:
        task.min_containers = 0
    world.tasks.get_task("b").yielding = yielding
    world.list()
    world.run(1.0)
    return world


@pytest.fixture
def world() -> SimulatedEngine:
    """Eight containers of a task that yields, on eight places."""
    found = make()
    found.decide({"b": CAP})
    live(found, 2)
    return found


def of(world: SimulatedEngine, name: str, frozen: bool = False) -> list[Real]:
    up = [r for r in world.real.values() if r.task == name and r.state is State.RUNNING]
    return [r for r in up if r.frozen == frozen]


def live(world: SimulatedEngine, seconds: float) -> None:
    for _ in range(round(seconds * 4)):
        world.tick()
        world.run(0.25)


def test_it_gives_way_and_goes_on_with_the_same_containers(world: SimulatedEngine) -> None:
    before = {r.id for r in of(world, "b")}
    world.decide({"b": 3, "a": 5})
    live(world, 2)
    task = world.tasks.get_task("b")
    assert (len(of(world, "a")), len(of(world, "b")), len(of(world, "b", frozen=True))) == (5, 3, 5)
    assert (task.requested, task.running, task.stopping, task.parked, task.frozen) == (3, 3, 0, 0, 5)
    world.decide({"b": 8, "a": 0})
    live(world, 2)
    assert {r.id for r in of(world, "b")} == before
    assert (task.requested, task.running, task.frozen) == (8, 8, 0)
    assert world.tasks.occupied == 0
    assert not world.excess


def test_those_go_on_first_that_were_frozen_first(world: SimulatedEngine) -> None:
    world.decide({"b": 7})
    live(world, 1)
    (first,) = of(world, "b", frozen=True)
    world.decide({"b": 5})
    live(world, 1)
    world.decide({"b": 6})
    live(world, 1)
    assert first in of(world, "b")


def test_one_that_is_wanted_again_before_there_is_a_place_waits_frozen(world: SimulatedEngine) -> None:
    world.decide({"b": 0, "a": 8})
    live(world, 2)
    world.faults.effect_s, world.faults.grace_s = 0.02, 3.0
    world.decide({"b": 2, "a": 6})
    live(world, 1)
    task = world.tasks.get_task("b")
    assert (task.requested, task.running, task.parked, task.frozen) == (2, 0, 2, 8)
    states = [view.state for view in views(world.reconciler, "b", world.now)]
    assert sorted(states) == ["frozen"] * 6 + ["frozen, waits for a place"] * 2
    world.decide({"b": 1, "a": 7})
    live(world, 4)
    assert (len(of(world, "b")), len(of(world, "b", frozen=True)), len(of(world, "a"))) == (1, 7, 7)


def test_of_more_than_the_limit_the_others_are_stopped() -> None:
    world = make(Yielding(2))
    world.decide({"b": 8})
    live(world, 2)
    world.decide({"b": 3})
    live(world, 4)
    assert (len(of(world, "b")), len(of(world, "b", frozen=True)), len(world.real)) == (3, 2, 5)


def test_after_its_time_it_is_thawed_for_its_end_if_there_is_a_place(
    world: SimulatedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    world.decide({"b": 3})
    live(world, 280)
    assert len(of(world, "b", frozen=True)) == 5
    world.faults.grace_s = 2.0
    heard: list[str] = []
    world.listeners.append(Heard(heard))
    live(world, 30)
    assert len(of(world, "b")) == 3
    assert len(world.real) == 3
    assert heard.count("unpause") == 5
    assert "is killed" not in caplog.text
    assert not world.excess


class Heard:
    """Writes down the kinds of all events."""

    def __init__(self, to: list[str]) -> None:
        self.to = to

    def tell(self, event: object) -> None:
        self.to.append(event.kind)  # type: ignore[attr-defined]


def test_after_its_time_it_is_killed_as_it_is_and_told_if_there_is_none(
    world: SimulatedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    world.decide({"b": 6, "a": 2})
    live(world, 280)
    heard: list[str] = []
    world.listeners.append(Heard(heard))
    live(world, 30)
    assert (len(of(world, "b")), len(of(world, "a")), len(world.real)) == (6, 2, 8)
    assert "unpause" not in heard
    assert caplog.text.count("is killed, 5 min after it was frozen: there is no place") == 2
    assert not world.excess


@pytest.mark.parametrize("refusals", [2, 50])
def test_a_refusal_is_tried_again_and_then_it_is_stopped(
    world: SimulatedEngine, refusals: int, caplog: pytest.LogCaptureFixture
) -> None:
    world.faults.broken = {"b": "freeze"}
    world.decide({"b": 7})
    for _ in range(refusals):
        world.tick()
        world.run(0.05)
    world.faults.broken = {}
    live(world, 3)
    frozen = 1 if refusals == 2 else 0
    assert (len(of(world, "b")), len(of(world, "b", frozen=True))) == (7, frozen)
    assert len(world.real) == 7 + frozen
    assert caplog.text.count("cannot freeze") == (0 if refusals == 2 else 1)


def test_one_that_cannot_be_thawed_is_removed_and_replaced(
    world: SimulatedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    world.decide({"b": 7})
    live(world, 1)
    world.faults.broken = {"b": "thaw"}
    world.decide({"b": 8})
    live(world, 5)
    assert (len(of(world, "b")), len(world.real)) == (8, 8)
    assert caplog.text.count("cannot thaw") == 1


class LatePauses:
    """Keeps the events of pauses and their ends back."""

    def __init__(self, world: SimulatedEngine) -> None:
        self.kept: list[Event] = []
        self._deliver, world._deliver = world._deliver, self._keep  # type: ignore[method-assign]

    def _keep(self, event: Event) -> None:
        self.kept.append(event) if "pause" in event.kind else self._deliver(event)

    def come(self, kind: str) -> None:
        for event in [event for event in self.kept if event.kind == kind]:
            self._deliver(event)


def test_a_late_event_of_an_earlier_freeze_frees_no_place(world: SimulatedEngine) -> None:
    late = LatePauses(world)
    for count in (7, 8):
        world.decide({"b": count})
        live(world, 1)
    world.faults.effect_s = 5.0
    world.decide({"b": 7, "a": 1})
    (container,) = [c for c in world.reconciler.all() if c.phase is Phase.FREEZING]
    late.come("pause")
    assert (container.phase, container.holds_place) == (Phase.FREEZING, True)
    live(world, 8)
    assert (container.phase, len(of(world, "a"))) == (Phase.FROZEN, 1)
    assert not world.excess


def test_a_late_event_of_an_earlier_thaw_is_no_news_of_one_that_is_refused(world: SimulatedEngine) -> None:
    late = LatePauses(world)
    for count in (7, 8, 7):
        world.decide({"b": count})
        live(world, 1)
    world.faults.refused, world.faults.reply_s = 1.0, 1.0
    world.decide({"b": 8})
    (container,) = [c for c in world.reconciler.all() if c.phase is Phase.THAWING]
    late.come("unpause")
    assert container.phase is Phase.THAWING
    world.run(1.0)
    world.faults.refused = 0.0
    live(world, 5)
    world.list()
    live(world, 5)
    assert len(of(world, "b")) == 8
    assert not any(c.paused for c in world.reconciler.all())


@pytest.mark.parametrize("heard", [True, False], ids=["by events", "by listings"])
def test_one_that_is_unpaused_by_hand_runs_and_counts_at_the_next_decision(
    world: SimulatedEngine, heard: bool
) -> None:
    world.decide({"b": 6, "a": 2})
    live(world, 2)
    real = of(world, "b", frozen=True)[0]
    world.faults.lost_event = 0.0 if heard else 1.0
    world.pause(real, False)
    world.list()
    live(world, 3)
    world.list()
    live(world, 3)
    assert (len(of(world, "b")), len(of(world, "b", frozen=True)), len(of(world, "a"))) == (6, 2, 2)
    assert world.running() == CAP


def test_one_that_is_paused_by_hand_is_not_thawed(
    world: SimulatedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    world.decide({"b": 3})
    live(world, 1)
    real = of(world, "b")[0]
    world.pause(real)
    live(world, 3)
    world.decide({"b": 8})
    live(world, 5)
    assert real.paused
    assert f"b: container {real.id} is paused from outside" in caplog.text
    assert (len(of(world, "b")), world.tasks.occupied) == (8, 1), "seven run, and it has a place, too"


def test_one_that_dies_while_it_is_frozen_is_forgotten(
    world: SimulatedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    world.decide({"b": 7})
    live(world, 1)
    world.kill(of(world, "b", frozen=True)[0])
    live(world, 3)
    assert (len(world.real), world.tasks.get_task("b").frozen) == (7, 0)
    assert "b: frozen container c" in caplog.text
    world.decide({"b": 8})
    live(world, 3)
    assert len(of(world, "b")) == 8


def test_at_the_end_of_the_agent_each_is_thawed_for_its_grace_within_the_cap(world: SimulatedEngine) -> None:
    world.decide({"b": 2, "a": 6})
    live(world, 2)
    world.decide({"b": 1, "a": 7})
    live(world, 2)
    heard: list[str] = []
    world.listeners.append(Heard(heard))
    world.faults.grace_s = 2.0
    world.reconciler.drains.end_s = 25.0
    world.reconciler.drain()
    world.decide({"a": 0, "b": 0})
    live(world, 10)
    assert world.reconciler.idle
    assert not world.real
    assert heard.count("unpause") == 7
    assert not world.excess


def test_at_the_end_of_the_agent_they_are_killed_when_its_time_is_up(
    world: SimulatedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    world.decide({"b": 0, "a": 8})
    live(world, 2)
    for real in of(world, "a"):
        real.stuck = "silent"
    world.reconciler.drains.end_s = 5.0
    world.reconciler.drain()
    world.decide({"a": 0, "b": 0})
    live(world, 8)
    assert not [real for real in world.real.values() if real.task == "b"]
    assert caplog.text.count("is killed") == 8


def adopting(kept: Mapping[str, Kept] | None) -> tuple[SimulatedEngine, Real, Real]:
    """An agent that finds one that runs and two that are paused, one of which its file may know."""
    world = small_world(random.Random(1), Faults(effect_s=0.05), CAP)
    for task in world.tasks.tasks:
        task.min_containers = 0
    world.tasks.get_task("b").yielding = Yielding(8)
    ours, theirs = (world.add("b", State.RUNNING, nonce=f"earlier-{n}") for n in range(2))
    for real in (ours, theirs):
        real.paused = real.frozen = True
    world.add("b", State.RUNNING, nonce="earlier-2")
    if kept is not None:
        world.reconciler.kept, world.reconciler.knows_frozen = dict(kept), True
    world.list()
    world.run(1.0)
    return world, ours, theirs


def test_the_next_agent_thaws_what_the_file_names_and_nothing_else() -> None:
    world, ours, theirs = adopting({"c0": Kept(None, False, -100.0)})
    task = world.tasks.get_task("b")
    assert (task.demand, task.requested, task.running, task.frozen) == (1, 1, 1, 1)
    world.decide({"b": 4})
    live(world, 2)
    assert (ours.paused, theirs.paused) == (False, True)


def test_the_time_goes_on_over_a_restart() -> None:
    world, ours, _ = adopting({"c0": Kept(None, False, -100.0)})
    world.decide({"b": 1})
    live(world, 190)
    assert ours.id in world.real
    live(world, 15)
    assert ours.id not in world.real


def test_without_a_file_all_that_is_paused_of_such_a_task_counts_as_frozen_by_us() -> None:
    world, ours, theirs = adopting(None)
    world.decide({"b": 4})
    live(world, 2)
    assert (ours.paused, theirs.paused) == (False, False)


def test_leaving_leaves_them_frozen_for_the_next_agent(world: SimulatedEngine) -> None:
    world.decide({"b": 3})
    live(world, 1)
    world.reconciler.leave()
    live(world, 400)
    assert world.reconciler.idle
    assert (len(of(world, "b")), len(of(world, "b", frozen=True))) == (3, 5)
    kept = world.reconciler.drains.kept()
    assert {id for id, one in kept.items() if one.frozen is not None} == {
        r.id for r in of(world, "b", frozen=True)
    }


def test_the_file_has_it_before_it_is_frozen(world: SimulatedEngine) -> None:
    """The agent may be killed in between."""
    world.tasks.get_task("b").demand = 7
    world.reconciler.reconcile(world.now)
    assert [one.frozen for one in world.reconciler.drains.kept().values()] == [world.now]
    assert len(of(world, "b")) == 8


def test_those_of_an_earlier_configuration_are_ended(world: SimulatedEngine) -> None:
    world.decide({"b": 3})
    live(world, 1)
    for container in world.reconciler.all():
        container.version = "1"
    world.tasks.get_task("b").version = "1"
    live(world, 1)
    assert len(of(world, "b", frozen=True)) == 5
    world.tasks.get_task("b").version = "2"
    live(world, 3)
    assert (len(of(world, "b")), len(of(world, "b", frozen=True))) == (3, 0)


def test_without_the_key_what_is_frozen_is_ended(world: SimulatedEngine) -> None:
    world.decide({"b": 3})
    live(world, 1)
    world.tasks.get_task("b").yielding = None
    live(world, 3)
    assert (len(of(world, "b")), len(world.real)) == (3, 3)


FILE = Busy(Way.FILE, "/tmp/busy")
QUIET = Drain(signal="TSTP", resume_signal="CONT")


def worker(waits: bool) -> World:
    task = Task("a", priority=2, max_containers=8, max_delta=8, busy=FILE, drain=QUIET)
    task.yielding = Yielding(8, waits=waits, leased=not waits)
    found = World(8, task, Task("b", priority=1, max_containers=8, max_delta=8))
    found.decide(a=8)
    found.run(5)
    return found


def test_of_a_queue_one_is_frozen_only_once_it_is_quiet_and_idle() -> None:
    of = worker(waits=True)
    for real in of.running():
        of.work(real, 20)
    of.decide(a=6, b=2)
    of.run(10)
    assert len([r for r in of.engine.real.values() if r.frozen]) == 0
    of.run(15)
    frozen = [r for r in of.engine.real.values() if r.frozen]
    assert len(frozen) == 2
    assert [of.engine.worker(r.id).heard for r in frozen] == [["QUIET"]] * 2
    assert (of.engine.frozen_at_work, of.engine.killed) == ([], [])
    of.decide(a=8, b=0)
    of.run(3)
    assert [of.engine.worker(r.id).heard for r in frozen] == [["QUIET", "RESUME"]] * 2
    assert len(of.running("a")) == 8


def test_with_a_lease_it_is_frozen_in_the_midst_of_its_job() -> None:
    of = worker(waits=False)
    for real in of.running():
        of.work(real, 20)
    of.decide(a=6, b=2)
    of.run(1)
    assert len([r for r in of.engine.real.values() if r.frozen]) == 2
    assert len(of.running("b")) == 2


def test_one_that_does_not_become_idle_in_time_is_stopped() -> None:
    of = worker(waits=True)
    of.tasks.tasks[0].drain = Drain(signal="TSTP", resume_signal="CONT", seconds=6.0)
    for real in of.running():
        of.work(real)
    of.decide(a=6, b=2)
    of.run(12)
    assert len([r for r in of.engine.real.values() if r.frozen]) == 0
    assert (len(of.running("a")), len(of.engine.killed)) == (6, 2)


@pytest.mark.parametrize("seed", [3, 22, 41, 93, 94, 155])
def test_whatever_goes_wrong_the_cap_holds_and_it_settles(seed: int) -> None:
    rng = random.Random(seed)
    faults = Faults(0.05, 0.05, 0.05, 0.05, 0.02, effect_s=0.5)
    world = make(Yielding(rng.choice([2, 8]), rng.choice([5.0, 300.0])), faults, seed)
    world.tasks.get_task("c").yielding = Yielding(4)
    for _ in range(60):
        left = CAP
        wants = {}
        for name in ("a", "b", "c"):
            wants[name] = rng.randint(0, left)
            left -= wants[name]
        if rng.random() < 0.7:
            world.decide(wants)
        if rng.random() < 0.5:
            world.list()
        if rng.random() < 0.1 and (up := of(world, "b")):
            world.kill(rng.choice(up))
        live(world, rng.choice([0.25, 1.0, 5.0]))
    for _ in range(4):  # back-offs end, and each leaves the demand that it had
        calm(world)
        world.decide({"a": 2, "b": 4, "c": 2})
    live(world, 5)
    found = {task.name: len(of(world, task.name)) for task in world.tasks.tasks}
    assert not any(task.backing_off for task in world.tasks.tasks)
    assert found == {task.name: task.demand for task in world.tasks.tasks}
    assert not world.excess
    assert not world.reconciler.in_doubt
    for task in world.tasks.tasks:
        mine = world.reconciler.containers[task.name]
        assert sum(c.phase is Phase.FROZEN for c in mine) == len(of(world, task.name, frozen=True))
        assert task.frozen <= (task.yielding.most if task.yielding else 0)
    world.reconciler.drain()
    world.decide(dict.fromkeys("abc", 0))
    calm(world)
    assert not world.real


def calm(world: SimulatedEngine) -> None:
    """Nothing goes wrong any more, and listings come."""
    world.faults = Faults(effect_s=0.05)
    for _ in range(20):
        world.list()
        live(world, 2)


def test_the_tasks_have_a_cap_of_their_own() -> None:
    """PROCESS: never more of a task run than its maximum, and frozen ones do not run."""
    tasks = Tasks([Task("a", max_containers=2)], 8)
    tasks.tasks[0].yielding = Yielding(2)
    world = SimulatedEngine(tasks, random.Random(1), Faults(effect_s=0.05))
    world.reconciler.limits_tasks = True
    world.list()
    world.run(1)
    world.decide({"a": 2})
    live(world, 1)
    world.decide({"a": 0})
    live(world, 1)
    world.decide({"a": 2})
    live(world, 1)
    assert (len(of(world, "a")), len(world.real)) == (2, 2)


@pytest.mark.parametrize("most", [0, 1])
def test_one_that_is_frozen_has_its_grace_under_a_lower_maximum_of_its_task(
    most: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As by a window, a pin, or a reload: there are free places under the cap."""
    world = make()
    world.reconciler.limits_tasks = True
    world.decide({"b": 5})
    live(world, 1)
    task = world.tasks.get_task("b")
    task.max_containers, task.yielding = most, Yielding(8, 5.0)
    world.decide({"b": most})
    live(world, 10)
    assert (len(of(world, "b")), len(world.real)) == (most, most)
    assert "is killed" not in caplog.text
