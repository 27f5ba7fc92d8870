"""Which ends are failures, which are not, and when such containers are replaced; in virtual time."""

from __future__ import annotations

import itertools
import logging
import random
import re
from collections.abc import Callable

import pytest

from microscaling.metric.toy import ToyMetric
from microscaling.scheduler.containers.backend import BackendUnavailable, State, Unanswered
from microscaling.scheduler.containers.container import Operation
from tests.scheduler.simulated_engine import Faults, Real, Reply, SimulatedEngine, small_world


class Workers(SimulatedEngine):
    """An engine whose containers end by themselves: `life(real)` gives the seconds that one is up and its
    exit code, or None. Each that ends with code 0 after `job_s` seconds has taken one item off the queue."""

    life: Callable[[Real], tuple[float, int] | None] = staticmethod(lambda real: None)
    eats = True
    starts: list[float]

    def started(self, real: Real, by: object) -> None:
        super().started(real, by)
        self.starts.append(self.now)
        life = self.life(real)
        if life is not None:
            self.at(life[0], self._end, real, life[1])

    def _end(self, real: Real, code: int) -> None:
        metric = self.tasks.get_task(real.task).metric
        if real.state is State.RUNNING and code == 0 and self.eats:
            metric.current = max(0, metric.current - 1)
        self.kill(real, code)

    def live(self, seconds: float, list_every_s: float = 5.0) -> None:
        """Counts twice a second, as the agent does, and does what has come due."""
        end, due = self.now + seconds, self.now
        while self.now < end:
            self.reconciler.look_at_readings(self.now)
            self.tick()
            if self.now >= due:
                self.list()
                due += list_every_s
            self.run(0.1)


def workers(
    life: Callable[[Real], tuple[float, int] | None], waiting: int | None = None, demand: int = 1
) -> Workers:
    """One task on such an engine, with a queue of that length, or (None) without one."""
    small = small_world(random.Random(1), Faults(), names=("a",))
    world = Workers(small.tasks, random.Random(1), Faults(effect_s=0.05, reply_s=0.01, event_s=0.02))
    world.life, world.starts = life, []
    if waiting is not None:
        world.tasks.get_task("a").metric = ToyMetric(waiting)
    world.list()
    world.run(0.5)
    world.decide({"a": demand})
    return world


def waits(text: str) -> list[int]:
    return [int(s) for s in re.findall(r"backing off, next try in (\d+) s", text)]


@pytest.mark.parametrize("up_s", [0.3, 2.0, 6.0, 9.0])
def test_what_crashes_again_and_again_backs_off_ever_longer(
    up_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    world = workers(lambda real: (up_s, 1))
    world.live(600)
    assert waits(caplog.text)[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert "a: container" in caplog.text
    assert "exited with code 1" in caplog.text


@pytest.mark.parametrize("up_s", [6.0, 9.0])
def test_what_crashes_in_turn_backs_off_too(up_s: float, caplog: pytest.LogCaptureFixture) -> None:
    """Of four that crash at other times there is always one that has been up for 5 s: it proves nothing."""
    world = workers(lambda real: (up_s, 1))
    task = world.tasks.get_task("a")
    backed_off = 0
    for _ in range(1200):
        if not task.backing_off and task.demand < 4:
            world.decide({"a": task.demand + 1})
        world.live(0.5)
        backed_off += task.backing_off
    assert max(waits(caplog.text)) == 60
    assert backed_off > 800, "most of the time its share is free for others"
    ends = re.findall(r"backing off, next try|no longer backing off", caplog.text)
    assert len(ends) < 40


def test_its_own_word_for_containers_is_used(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mssscheduler")
    for life in ((6.0, 1), (0.1, 0)):
        small = small_world(random.Random(1), Faults(), names=("a",))
        small.tasks.noun = "process"
        world = Workers(small.tasks, random.Random(1), Faults(effect_s=0.05, reply_s=0.01, event_s=0.02))
        world.life, world.starts = lambda real, life=life: life, []
        world.list()
        world.run(0.5)
        world.decide({"a": 2})
        world.live(120)
        assert str(world.tasks.get_task("a").reason).count("container") == 0
    assert "a: a process stays up: no longer backing off" in caplog.messages
    assert [line for line in caplog.messages if "container" in line] == []


@pytest.mark.parametrize(("up_s", "delay_s"), [(30.0, 4), (500.0, 60)])
def test_the_delay_is_remembered_until_a_container_was_up_ten_times_as_long(
    up_s: float, delay_s: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Before that, the next crash doubles it; then it is forgotten, and three crashes are needed again."""
    lives = [1.0] * 20
    world = workers(lambda real: (lives.pop(), 1) if lives else None)
    while not waits(caplog.text) or waits(caplog.text)[-1] < delay_s:
        world.live(1)
    lives[:] = [up_s]
    world.live(delay_s + up_s + 5)
    assert waits(caplog.text)[-1] == min(60, 2 * delay_s)
    lives[:] = [1.0, 1.0, 1.0, 2 * up_s + 600]
    world.live(60 + 2 * up_s + 620)
    said = len(waits(caplog.text))
    lives[:] = [1.0, 1.0]
    world.live(10)
    assert len(waits(caplog.text)) == said, "two crashes after a long life are no reason to back off"


@pytest.mark.parametrize("heard", [True, False], ids=["by events", "by listings"])
def test_it_does_not_matter_what_tells_of_an_end(heard: bool, caplog: pytest.LogCaptureFixture) -> None:
    world = workers(lambda real: (0.1, 3))
    world.faults.lost_event = 0.0 if heard else 1.0
    world.live(40)
    assert len(world.starts) <= 8
    assert len(waits(caplog.text)) >= 2
    assert "with code 3" in caplog.text


@pytest.mark.parametrize("heard", [True, False], ids=["by events", "by listings"])
def test_removed_by_somebody_is_no_failure(heard: bool) -> None:
    world = workers(lambda real: None, demand=3)
    for _ in range(8):
        world.faults.lost_event = 0.0 if heard else 1.0
        for real in list(world.real.values()):
            world.faults.lost_event = 1.0
            real.state = State.EXITED
            world.faults.lost_event = 0.0 if heard else 1.0
            world.remove(real)
        world.live(6)
    assert not world.tasks.get_task("a").backing_off
    assert world.running("a") == 3


@pytest.mark.parametrize("job_s", [0.2, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("heard", [True, False], ids=["by events", "by listings"])
def test_one_job_workers_work_the_queue_off_and_are_no_failures(
    job_s: float, heard: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world = workers(lambda real: (job_s, 0), waiting=100, demand=4)
    task = world.tasks.get_task("a")
    world.faults.lost_event = 0.0 if heard else 1.0
    before = world.now
    while task.metric.current:
        world.live(1, list_every_s=5.0 if heard else 1.0)
        assert not task.backing_off
        assert task.requested == task.demand == 4, "its share is its own all the time"
        assert task.serving() == 4, "a change of containers keeps no rule from moving the task"
        assert world.now - before < 100 / 4 * (job_s + 2.5)
    assert "backing off" not in caplog.text
    assert "WARNING" not in caplog.text


def test_a_task_without_a_queue_is_short_of_what_has_ended() -> None:
    world = workers(lambda real: (1.5, 0), demand=2)
    world.live(60)
    assert len(world.starts) > 60, "each is replaced at once"


@pytest.mark.parametrize(
    ("waiting", "up_s", "demand"),
    [(50, 0.2, 1), (50, 0.2, 8), (50, 0.9, 3), (None, 0.2, 2), (0, 0.2, 1), (0, 3.0, 2)],
)
def test_ends_in_vain_are_paced_said_and_back_off(
    waiting: int | None, up_s: float, demand: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers that look at another queue than the one that is measured, say."""
    caplog.set_level(logging.INFO, "mssscheduler")
    world = workers(lambda real: (up_s, 0), waiting=waiting, demand=demand)
    world.eats = False
    world.live(15)
    later = [t for t in world.starts[demand:] if t <= world.now]
    assert all(b - a > 0.8 for a, b in itertools.pairwise(later)), "one start a second a task"
    task = world.tasks.get_task("a")
    assert not task.backing_off
    world.live(800)
    assert waits(caplog.text)[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert "without a sign of work" in caplog.text
    assert ("nothing waits" in caplog.text) == (waiting == 0)
    assert task.reason is None or "failed" not in str(task.reason)
    before = len(world.starts)
    world.live(300)
    assert len(world.starts) - before <= 6


def test_ends_in_vain_are_said_once_and_not_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mssscheduler")
    world = workers(lambda real: (0.2, 0), waiting=50, demand=4)
    world.eats = False
    world.live(15)
    [line] = [line for line in caplog.messages if "sign of work" in line]
    assert line.endswith(
        "without a sign of work (3 such in a row): at most one start a second until there is one"
    )
    world.eats = True
    world.live(5)
    assert len([line for line in caplog.messages if "sign of work" in line]) == 1


def test_when_something_waits_again_nothing_has_to_wait(caplog: pytest.LogCaptureFixture) -> None:
    world = workers(lambda real: (0.3, 0), waiting=0)
    world.eats = False
    task = world.tasks.get_task("a")
    world.live(200)
    assert task.backing_off
    caplog.clear()
    world.life = lambda real: (1.2, 0)
    world.eats = True
    task.metric.current = 30
    world.live(0.5)
    assert not task.backing_off
    world.decide({"a": 4})
    world.live(30)
    assert task.metric.current == 0
    assert "backing off, next" not in caplog.text


def test_a_crash_among_done_jobs_is_still_a_crash(caplog: pytest.LogCaptureFixture) -> None:
    lives = [(1.5, 0), (1.5, 1)] * 50
    world = workers(lambda real: lives.pop(), waiting=10_000)
    world.live(60)
    assert len(waits(caplog.text)) >= 3


def test_the_end_of_a_probe_with_its_work_done_ends_the_back_off() -> None:
    lives = [(1.5, 0)] * 50 + [(0.2, 1)] * 3
    world = workers(lambda real: lives.pop(), waiting=10_000)
    world.live(3)
    assert world.tasks.get_task("a").backing_off
    world.live(6)
    assert not world.tasks.get_task("a").backing_off


# Creates and starts that are not answered


@pytest.mark.parametrize("work", ["create", "start"])
def test_what_is_not_answered_again_and_again_is_said_and_backs_off(
    work: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = workers(lambda real: None, demand=0)
    hang(world, work, Unanswered("no answer within 10 s"))
    world.decide({"a": 1})
    world.live(120)
    assert f"a: cannot {work}" in caplog.text
    assert "no answer within 10 s" in caplog.text
    assert len(waits(caplog.text)) >= 3


@pytest.mark.parametrize(
    "error", [Unanswered("no answer within 10 s"), BackendUnavailable("connection refused")]
)
def test_an_engine_that_answers_nobody_is_no_fault_of_its_tasks(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world = workers(lambda real: None, demand=0)
    hang(world, "create", error)
    world.decide({"a": 3})
    for _ in range(600):
        world.tick()
        world.run(0.1)
        if world.now % 15 < 0.1:
            world.list()
    assert not waits(caplog.text)


def hang(world: SimulatedEngine, work: str, error: Exception) -> None:
    """From now on such calls fail after 10 s, and are never carried out."""
    carry_out = world.carry_out

    def hanging(operation: Operation, reply: Reply, by: object = None) -> None:
        if operation.work.value == work:
            world.at(10.0, reply, operation, error, "")
        else:
            carry_out(operation, reply, by)

    world.carry_out = hanging  # type: ignore[method-assign]


def test_a_back_off_keeps_what_runs_rather_than_what_was_not_answered() -> None:
    world = workers(lambda real: None, demand=0)
    task = world.tasks.get_task("a")
    hang(world, "start", Unanswered("no answer within 10 s"))
    world.decide({"a": 1})
    world.run(5)
    world.carry_out = super(Workers, world).carry_out  # type: ignore[method-assign]
    world.decide({"a": 2})
    world.run(2)
    (newer,) = [real for real in world.real.values() if real.state is State.RUNNING]
    world.reconciler.crash_backoffs.of("a").failures_in_a_row = 2
    while not task.backing_off:
        world.live(0.1)
    world.live(1)
    assert newer.state is State.RUNNING
