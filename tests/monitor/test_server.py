"""What the server is told, over a real websocket."""

from __future__ import annotations

import logging
import time

import pytest

from microscaling.api.agent_report import task_detail
from microscaling.clients.websocket.connection import Connection
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.readings import Readings
from microscaling.metric.toy import ToyMetric
from microscaling.monitor.server import ServerMonitor
from tests.engine.driven import queue_task
from tests.fakes.server import FakeServer, wait_for


@pytest.fixture
def tasks():
    return Tasks([Task("p1", requested=3, running=4, metric=ToyMetric(12))], 10)


@pytest.fixture
def monitor():
    server = FakeServer()
    made = ServerMonitor(Connection(f"ws://{server.endpoint}/"), "hello")
    made.server = server
    yield made
    made.close()
    server.stop()


def test_it_tells_how_the_tasks_are_when_the_server_is_there(monitor, tasks, caplog):
    caplog.set_level(logging.WARNING)
    monitor.send_metrics(tasks)
    wait_for(lambda: caplog.messages)
    monitor.send_metrics(tasks)
    began = int(time.time())
    with monitor.server as server:
        wait_for(lambda: (monitor.send_metrics(tasks), server.open and server.link.messages)[1])
        (told, *_) = server.messages()
    assert began <= told["metrics"].pop("createdAt") <= time.time()
    wanted = [{"app": "p1", "runningCount": 4, "pendingCount": 3, "metric": 12}]
    assert told == {"user": "hello", "metrics": {"tasks": wanted}}
    assert len([m for m in caplog.messages if "Connection refused" in m]) == 1


def test_closed_it_opens_nothing_any_more(monitor, tasks):
    monitor.send_metrics(tasks)
    assert monitor.connection.threads
    monitor.close()
    monitor.send_metrics(tasks)
    assert not monitor.connection.threads


def test_the_lock_is_not_held_while_it_sends(monitor, tasks):
    with monitor.server as server:
        monitor.send_metrics(tasks)
        assert server.link
        wait_for(lambda: monitor.connection.connected)
        sent = []
        monitor.connection.send = lambda text: sent.append(tasks.lock._is_owned())
        monitor.send_metrics(tasks)
    assert sent == [False]


def test_it_says_whether_there_is_a_reading():
    task = Task("p1", metric=ToyMetric(0))
    assert task_detail(task)["metric"] == 0
    for field in ("held", "falling_back"):
        assert task_detail(Task("p1", metric=ToyMetric(7), **{field: "no answer"}))["metric"] is None
    assert task_detail(Task("rest"))["metric"] is None


def test_before_the_first_answer_there_is_no_reading():
    task, other = queue_task("p1", 3), queue_task("p2", 3, held="a second agent")
    readings = Readings([task, other], 1.5)
    assert task_detail(task)["metric"] is None
    assert (task.held, other.held) == ("not measured yet", "a second agent")
    for poll in readings.polls:
        poll.start(0.0, 1.0)
        poll.finish(0.0, 0)
    readings.judge(0.0)
    readings.apply()
    assert task_detail(task)["metric"] == 0
    assert (task.held, other.held) == ("", "a second agent")


def test_no_text_of_the_detail_has_a_secret():
    url = "http://me:hunter22@host"
    told = task_detail(Task("p1", held=url, falling_back=url, reason=url))
    assert {told[key] for key in ("held", "fallback", "reason")} == {"http://me:***@host"}
