"""The local engine's threads, on real queues' answers over real connections."""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
import time

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import CLOSED, TOKEN, put_closed, put_token
from microscaling.engine.local import LocalEngine
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.nsq_stats import NSQSource
from microscaling.metric.toy import ToyMetric
from microscaling.target.simple_queue import SimpleQueueLengthTarget
from tests.metric.faulty import Server, answers, faults, hangs
from tests.metric.nsqd import Nsqd, wait_for

BEAT_S = 0.1
TARGET = 50


class Counted(SimpleQueueLengthTarget):
    """Keeps the readings that it was asked about, one per decision."""

    __slots__ = ("seen",)

    def __init__(self, length=TARGET):
        super().__init__(length)
        self.seen = []

    def delta(self, current):
        self.seen.append(current)
        return super().delta(current)


def stats(depth):
    channels = [{"channel_name": "c", "depth": depth}]
    return json.dumps({"topics": [{"topic_name": "t", "depth": 0, "channels": channels}]}).encode()


def numbered(server, sock):
    """Answers with the number of the question."""
    return answers(stats(len(server)))(server, sock)


def task(name, endpoint=None, deadline_s=5, **fields):
    """A settled task of 3 containers, measured at an NSQ endpoint."""
    values = {"demand": 3, "requested": 3, "running": 3, "priority": 1, "max_containers": 9, "max_delta": 9}
    made = Task(name, target=Counted(), **{**values, **fields})
    made.metric = ToyMetric(0) if endpoint is None else NSQMetric("t", "c", endpoint)
    if endpoint is not None:
        made.metric.source = NSQSource(endpoint, deadline_s)
    return made


def pair(server):
    """A task that is measured at the server, and one that nobody is asked about."""
    return task("p1", server.endpoint), task("toy")


class Run:
    """A local engine at work until the end of the block."""

    def __init__(self, *tasks, cap=20, beat_s=BEAT_S):
        self.tasks = Tasks(tasks, cap)
        self.slot = queue.Queue(maxsize=1)
        self.engine = LocalEngine(beat_s)

    def __enter__(self):
        self.engine.get_demand(self.tasks, self.slot)
        return self

    def __exit__(self, *_):
        self.engine.stop_demand(self.slot)

    def decisions(self, task, more):
        """Waits for so many more decisions about a task."""
        until = len(task.target.seen) + more
        wait_for(lambda: len(task.target.seen) >= until)

    def held(self, task, is_held=True):
        wait_for(lambda: bool(task.held) is is_held)


@pytest.fixture
def said(caplog):
    """What the engine has logged besides its decisions, and besides beats that a busy machine has skipped."""
    caplog.set_level(logging.INFO, "mssengine")
    others = ("->", " run", "too busy")
    return lambda: [m for m in caplog.messages if not any(words in m for words in others)]


def test_the_first_decision_is_made_on_real_readings(caplog):
    caplog.set_level(logging.INFO, "mssengine")
    # The first question loads the HTTP client: two beats of half a second may not be enough for that.
    with Server(answers(stats(120))) as server, Run(task("p1", server.endpoint), beat_s=5.0) as run:
        assert run.slot.get(timeout=60) is TOKEN
        assert run.engine.decided.wait(60)
        p1 = run.tasks.get_task("p1")
        assert (p1.metric.current, p1.demand) == (120, 4)
    assert caplog.messages[0] == f"p1: 3 -> 4 ({p1.reason})"


def test_no_decision_is_made_blind_while_a_source_hangs():
    with Server(hangs) as server, Run(task("p1", server.endpoint, 30), task("toy")) as run:
        assert run.engine.decided.wait(60)
        p1, toy = run.tasks.tasks
        assert (p1.held, p1.demand, p1.target.seen) == (f"NSQ at {server.url()[:-1]}: no answer yet", 3, [])
        assert toy.target.seen


def test_a_source_that_hangs_for_10_s_delays_no_other_task():
    """Eight decisions about the other task, on new readings, while one and the same request hangs."""
    bad, good = Server(numbered), Server(numbered)
    stuck, free = task("stuck", bad.endpoint, 30), task("free", good.endpoint, 30)
    with bad, good, Run(stuck, free, beat_s=0.4) as run:
        run.decisions(free, 2)
        hanging = []
        bad.behave = lambda server, sock: hanging.append(sock) or hangs(server, sock)
        wait_for(lambda: hanging)
        before = len(free.target.seen)
        run.decisions(free, 8)
        assert len(hanging) == 1
        assert stuck.held == f"{stuck.metric.source.name}: no answer for more than 1.2 s"
        # As a rule each decision has a reading of its own beat; on a busy machine, of the one before.
        assert len(set(free.target.seen[before:])) >= 4


def test_one_request_per_endpoint_and_beat_whatever_the_number_of_tasks():
    with Server(numbered) as server:
        with Run(*(task(f"p{n}", server.endpoint) for n in range(200)), cap=1000) as run:
            first = run.tasks.tasks[0]
            run.decisions(first, 10)
        assert len(first.target.seen) / 2 <= len(server) <= len(first.target.seen) + 1
        assert server.connections == 1
        assert {task.metric.current for task in run.tasks.tasks} == {first.metric.current}


def test_a_source_that_fails_leaves_its_task_where_it_is_and_says_so_once(said):
    with Server(answers(stats(TARGET))) as server, Run(*pair(server), beat_s=0.4) as run:
        p1, toy = run.tasks.tasks
        run.decisions(p1, 2)
        server.behave = answers(b"", "503 Service Unavailable")
        run.held(p1)
        run.decisions(toy, 5)
        assert (p1.demand, p1.metric.current) == (3, TARGET)
        server.behave = answers(stats(120))
        run.held(p1, False)
        run.decisions(p1, 3)
        assert (p1.demand, p1.metric.current) == (4, 120)
    assert said() == [
        f"p1 held: {server.url('/stats')}: answers with HTTP 503",
        f"NSQ at {server.url()[:-1]} answers again: p1 measured again",
    ]


FAULTS = faults(stats(0))


@pytest.mark.parametrize(
    "fault", ["hangs", "drips its head", "drips its body", "status 500", "reset half way", "endless body"]
)
def test_no_fault_is_ever_taken_for_a_zero(fault):
    with Server(answers(stats(TARGET))) as server, Run(task("p1", server.endpoint, 0.3)) as run:
        [p1] = run.tasks.tasks
        run.decisions(p1, 1)
        server.behave = FAULTS[fault]
        run.held(p1)
        server.behave = answers(stats(TARGET))
        run.held(p1, False)
        assert p1.demand == 3
        assert set(p1.target.seen) == {TARGET}


def test_what_the_scheduler_writes_between_two_beats_is_used_at_once():
    """p1 is short and nothing is free; when p2 has given, p1 gets it long before the next beat."""
    p1 = task("p1", max_containers=4)
    p2 = task("p2", priority=2)
    p1.metric.current, p2.metric.current = 120, TARGET
    with Run(p1, p2, cap=6, beat_s=3600) as run:
        assert run.slot.get(timeout=60) is TOKEN
        assert (p1.demand, p2.demand) == (3, 2)
        with run.tasks as tasks:
            p2.requested = p2.running = 2
            tasks.changed.set()
        assert run.slot.get(timeout=60) is TOKEN
        assert (p1.demand, p2.demand) == (4, 2)
        assert not run.tasks.changed.is_set()


def test_the_lock_is_free_while_a_source_hangs():
    with Server(hangs) as server, Run(task("p1", server.endpoint, 30)) as run:
        wait_for(lambda: len(server) == 1)
        assert run.tasks.lock.acquire(timeout=60)
        run.tasks.lock.release()


def test_tokens_coalesce_and_the_engine_never_blocks():
    moving = task("moving")
    with Run(moving) as run:
        for _ in range(5):
            moving.metric.current = 120 - moving.metric.current  # the demand changes at every beat
            run.decisions(moving, 1)
        assert run.slot.qsize() == 1


def test_stop_while_a_source_hangs_leaves_closed_last():
    with Server(hangs) as server:
        toy = task("toy")
        toy.metric.current = 120
        with Run(task("p1", server.endpoint, deadline_s=2), toy) as run:
            assert run.engine.decided.wait(60)
            wait_for(lambda: len(server) == 1)
            asking = run.engine.threads[1]
        assert asking.is_alive()  # stopped without waiting for it
        assert [run.slot.get_nowait(), run.slot.empty()] == [CLOSED, True]
        decided = len(toy.target.seen)
        asking.join(60)
        assert len(toy.target.seen) == decided


def test_stop_during_the_first_wait():
    with Server(hangs) as server:
        with Run(task("p1", server.endpoint, deadline_s=2), beat_s=3600) as run:
            wait_for(lambda: len(server) == 1)
        assert not run.engine.threads[0].is_alive()
        assert not run.engine.decided.is_set()
        assert run.slot.get_nowait() is CLOSED


def test_stop_between_two_beats_that_are_far_apart():
    with Run(task("toy"), beat_s=3600) as run:
        assert run.engine.decided.wait(60)
    assert not run.engine.threads[0].is_alive()


def test_stop_twice_and_without_a_start():
    slot = queue.Queue(maxsize=1)
    engine = LocalEngine()
    engine.stop_demand(slot)
    engine.stop_demand(slot)
    assert [slot.get_nowait(), slot.empty()] == [CLOSED, True]


def test_every_thread_can_be_seen_and_ends():
    with Server(numbered) as server, Run(task("p1", server.endpoint), task("toy")) as run:
        assert run.engine.decided.wait(60)
        names = [thread.name for thread in run.engine.threads]
        assert names == ["local engine", f"source NSQ at {server.url()[:-1]}"]
    assert not any(thread.is_alive() for thread in run.engine.threads)


def test_a_mistake_in_a_target_ends_the_thread_and_is_there_to_be_found():
    broken = task("broken")
    broken.target.seen = None
    with Run(broken) as run:
        run.engine.threads[0].join(60)
    assert isinstance(run.engine.threads[0].error, AttributeError)


def test_a_machine_that_sleeps_misses_beats_and_says_so_once(caplog):
    jump = [0.0]
    toy = task("toy")
    run = Run(toy, beat_s=0.4)
    run.engine.clock = lambda: time.monotonic() + jump[0]
    with run:
        for _ in range(2):
            run.decisions(toy, 1)
            jump[0] += 1000.0
            run.decisions(toy, 2)
    assert len(toy.target.seen) < 100
    missed = [re.fullmatch(r"too busy for a beat every 0.4 s: (\d+) skipped", m) for m in caplog.messages]
    assert len([found for found in missed if found and int(found[1]) > 1000]) == 2


def test_after_a_freeze_nothing_is_decided_by_what_was_measured_before_it():
    jump, extras = [0.0], []
    toy = task("toy")
    run = Run(toy, beat_s=3600)
    run.engine.clock = lambda: time.monotonic() + jump[0]

    def reallocate(now):
        run.tasks.changed.clear()
        extras.append("decided")
        return False

    with run:
        assert run.slot.get(timeout=60) is TOKEN
        run.engine.threads[0].decider.reallocate = reallocate
        run.tasks.changed.set()
        wait_for(lambda: extras)  # so it waits for the next beat, or for another change
        before = len(toy.target.seen)
        jump[0] = 7200.0
        run.tasks.changed.set()
        wait_for(lambda: len(toy.target.seen) > before)
    assert extras == ["decided"]


def test_the_slot():
    slot = queue.Queue(maxsize=1)
    for _ in range(3):
        put_token(slot)
    assert slot.qsize() == 1
    put_closed(slot)
    assert [slot.get_nowait(), slot.empty()] == [CLOSED, True]


def test_closing_the_slot_while_somebody_takes_from_it():
    slot = queue.Queue(maxsize=1)
    taken = []
    taker = threading.Thread(target=lambda: taken.extend(iter(slot.get, CLOSED)))
    taker.start()
    put_token(slot)
    put_closed(slot)
    taker.join(60)
    assert taken in ([], [TOKEN])


def test_a_real_nsqd(tmp_path):
    with Nsqd(tmp_path) as nsqd, Run(task("p1", nsqd.endpoint)) as run:
        p1 = run.tasks.get_task("p1")
        nsqd.post("/topic/create?topic=t")
        nsqd.post("/channel/create?topic=t&channel=c")
        nsqd.post("/mpub?topic=t", b"\n".join([b"job"] * 120))
        wait_for(lambda: p1.metric.current == 120)
        wait_for(lambda: p1.demand == 4)
