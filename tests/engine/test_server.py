"""The engine that does what the server says, over a real websocket."""

from __future__ import annotations

import logging
import queue
import sqlite3

import pytest

from microscaling.clients.websocket.connection import Connection
from microscaling.demand.fallback import Fallback
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.base import CLOSED, TOKEN
from microscaling.engine.server import ServerEngine, fulfil
from microscaling.metric.sql import SQLMetric
from tests.fakes.server import FakeServer, wait_for


def task(name, priority=1, minimum=0, **more):
    return Task(name, priority=priority, min_containers=minimum, max_containers=10, max_delta=10, **more)


class Run:
    """A server, and an engine that hears it."""

    def __init__(self, *tasks, cap=10):
        self.tasks = Tasks(tasks, cap)
        self.slot = queue.Queue(maxsize=1)
        self.server = FakeServer()
        self.engine = ServerEngine(Connection(f"ws://{self.server.endpoint}/"))

    def __enter__(self):
        self.server.start()
        self.engine.get_demand(self.tasks, self.slot)
        assert self.server.link
        return self

    def __exit__(self, *_):
        self.engine.stop_demand(self.slot)
        self.server.stop()

    def demands(self):
        with self.tasks as tasks:
            return {each.name: each.demand for each in tasks.tasks}

    def becomes(self, **demands):
        wait_for(lambda: self.demands() == demands)

    def token(self):
        return self.slot.get(timeout=60)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "mssengine")
    return caplog


def test_it_does_what_the_server_says(said):
    with Run(task("p1"), task("p2", demand=2)) as run:
        run.server.demand(p1=7, p2=3)
        assert run.token() is TOKEN
        assert run.demands() == {"p1": 7, "p2": 3}
        assert run.engine.decided.is_set()
    assert said.messages == ["p1: 0 -> 7 (the server wants 7)", "p2: 2 -> 3 (the server wants 3)"]


def test_until_the_servers_first_word_nothing_is_decided():
    with Run(task("p1", demand=12, minimum=1)) as run:
        run.tasks.changed.set()
        for harmless in (
            {},
            {"demand": {"tasks": []}},
            {"demand": {"tasks": [{"app": "x", "demandCount": 1}]}},
        ):
            run.server.say(harmless)
        assert not run.engine.decided.wait(0.2)
        assert run.slot.empty()
        assert run.demands() == {"p1": 12}
        run.server.demand(p1=9)
        assert run.token() is TOKEN


def test_a_first_word_that_changes_nothing_is_a_decision_too():
    with Run(task("p1", demand=3)) as run:
        run.server.demand(p1=3)
        assert run.token() is TOKEN
        assert run.engine.decided.is_set()


def test_what_it_does_not_know_is_ignored_and_what_is_not_named_stays():
    with Run(task("p1"), task("p2", demand=2)) as run:
        run.server.demand(p1=3, nobody=100)
        run.becomes(p1=3, p2=2)


BAD = [b"", b"\xff", b"{", b"[" * 10_000, b"[]", b'{"demand":{"tasks":[{"app":"p1","demandCount":-1}]}}']


def test_nonsense_is_ignored_and_said_once(said):
    with Run(task("p1")) as run:
        run.server.demand(p1=3)
        assert run.token()
        for bad in BAD * 3:
            run.server.say(bad)
        run.server.demand(p1=4)
        run.becomes(p1=4)
        assert len(run.server.links) == 1
    told = [message for message in said.messages if "->" not in message]
    assert told == ["ignored an invalid message of the server: not JSON: it is empty"]


def test_it_keeps_to_the_cap_and_to_minimums(said):
    with Run(task("p1"), task("p2", priority=2, minimum=1)) as run:
        run.server.demand(p1=50, p2=0)
        run.becomes(p1=9, p2=1)
        assert run.token()
    assert said.messages[0].startswith("p1: 0 -> 9 (")


def test_when_the_server_is_lost_demand_stays_as_it_was(caplog):
    with Run(task("p1"), task("p2", demand=2)) as run:
        run.server.demand(p1=7)
        run.becomes(p1=7, p2=2)
        run.server.stop()
        wait_for(lambda: not run.engine.connection.connected)
        run.tasks.changed.set()
        wait_for(lambda: not run.tasks.changed.is_set())
        assert run.demands() == {"p1": 7, "p2": 2}
        run.server.start()
        assert run.server.link
        run.server.demand(p1=5)
        run.becomes(p1=5, p2=2)
    assert len([m for m in caplog.messages if "no connection" in m]) == 1


def test_a_task_that_backs_off_is_left_alone_and_gets_its_demand_afterwards():
    with Run(task("p1", demand=4, backing_off=True), task("p2")) as run:
        run.server.demand(p1=7, p2=2)
        run.becomes(p1=4, p2=2)
        with run.tasks:
            run.tasks.get_task("p1").backing_off = False
        run.becomes(p1=7, p2=2)


def test_while_all_tasks_are_held_nothing_is_decided_but_kept_in_mind():
    with Run(task("p1")) as run:
        run.tasks.hold = "a second agent is at work"
        run.server.demand(p1=7)
        assert run.engine.decided.wait(60)
        assert run.demands() == {"p1": 0}
        run.tasks.hold = ""
        run.becomes(p1=7)


def test_stopped_it_leaves_closed_and_decides_no_more():
    with Run(task("p1")) as run:
        run.server.demand(p1=7)
        wait_for(lambda: not run.slot.empty())
        threads = list(run.engine.threads)
        run.engine.stop_demand(run.slot)
        assert run.slot.get_nowait() is CLOSED
        assert not any(thread.is_alive() for thread in threads)


def test_its_threads_are_known_to_whoever_looks_for_dead_ones():
    with Run(task("p1")) as run:
        assert sorted(t.name for t in run.engine.threads) == ["meter", "mss-websocket", "server engine"]


def test_it_measures_what_the_server_is_told(tmp_path):
    sqlite3.connect(tmp_path / "jobs.db").close()
    url = f"sqlite:///{tmp_path}/jobs.db"
    seen, held = (
        task("seen", metric=SQLMetric(url, "select 7")),
        task("held", metric=SQLMetric(url, "select x")),
    )
    with Run(seen, held) as run:
        wait_for(lambda: (seen.metric.current, bool(held.held)) == (7, True))
        run.server.demand(seen=3, held=2)
        run.becomes(seen=3, held=2)
    assert (seen.held, held.metric.current) == ("", 0)


def test_policies_of_ours_mean_nothing_here_and_that_is_said(tmp_path, caplog):
    sqlite3.connect(tmp_path / "jobs.db").close()
    metric = SQLMetric(f"sqlite:///{tmp_path}/jobs.db", "select x")
    failing = task("failing", metric=metric, fallback=Fallback(1, 5))
    with Run(failing, task("p2", scale_down_window_s=5.0), task("p3", scale_down_window_s=0.0)) as run:
        wait_for(lambda: bool(failing.held))
        run.server.demand(failing=2)
        run.becomes(failing=2, p2=0, p3=0)
        assert (bool(failing.held), failing.falling_back) == (True, "")
    said = [m for m in caplog.messages if "have no effect" in m]
    assert said == ["failing, p2: fallback and scale-down window have no effect: the server decides"]


def test_a_connection_that_others_use_stays_open():
    with Run(task("p1")) as run:
        run.engine.connection.open("somebody else")
        run.engine.stop_demand(run.slot)
        assert run.engine.connection.connected
        run.engine.connection.close("somebody else")


@pytest.mark.parametrize(
    ("wants", "demands"),
    [
        ({"a": 10}, [9, 1, 0]),
        ({"a": 10, "c": 5}, [9, 1, 0]),
        ({"a": 3, "b": 3, "c": 3}, [3, 3, 3]),
        ({"a": 0, "b": 0, "c": 20}, [0, 1, 9]),
        ({"c": 10**6}, [2, 2, 6]),
        ({}, [2, 2, 2]),
    ],
)
def test_to_fulfil_twice_is_to_fulfil_once(wants, demands):
    tasks = Tasks([task("a", 1, demand=2), task("b", 2, 1, demand=2), task("c", 3, demand=2)], 10)
    fulfil(tasks, wants)
    assert [each.demand for each in tasks.tasks] == demands
    reasons = [each.reason for each in tasks.tasks]
    fulfil(tasks, wants)
    assert [each.demand for each in tasks.tasks] == demands
    assert [each.reason for each in tasks.tasks] == reasons


@pytest.mark.parametrize("held", ["", "not measured yet"])
def test_a_minimum_is_taken_from_others_whether_they_are_measured_or_not(held):
    web, batch = task("web", 1, 2, demand=3, held=held), task("batch", 2, demand=2, held=held)
    fulfil(Tasks([web, batch], 3), {"web": 1, "batch": 2})
    assert (web.demand, batch.demand) == (2, 1)
