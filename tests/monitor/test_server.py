"""What the server is told, over a real websocket."""

from __future__ import annotations

import json
import logging
import time

import pytest

from microscaling.api.agent_report import agent_detail, task_detail
from microscaling.api.containers import question
from microscaling.clients.websocket.connection import Connection
from microscaling.demand.shown import ContainerView, Failure
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
    task = Task("p1", held=url, falling_back=url, reason=url, failure=Failure(url, 0.0, 1, url))
    tasks = Tasks([task], 10)
    tasks.containers = lambda name: [ContainerView("c1", url, "running", 1.0)]
    (told,) = agent_detail(tasks, "web-1", "LOCAL", asked=["p1"])["tasks"]
    texts = [told[key] for key in ("held", "fallback", "reason")]
    texts += [told["failing"]["why"], told["failing"]["lines"], told["containers"][0]["name"]]
    assert set(texts) == {"http://me:***@host"}
    assert "hunter22" not in json.dumps(told)


def test_the_last_failure_is_bounded(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    failure = Failure("w" * 1000, 70.2, 3, "l" * 1000 + "end", 112.3)
    (told,) = agent_detail(Tasks([Task("p1", failure=failure)], 10), "", "LOCAL")["tasks"]
    told = told["failing"]
    assert (told["exitCode"], told["seconds"], told["retrySeconds"]) == (3, 30, 12)
    assert (len(told["why"]), len(told["lines"]), told["lines"][-3:]) == (300, 600, "end")


def test_a_report_that_would_be_too_long_is_brief(monitor):
    failures = [Task(f"p{n}", failure=Failure("w" * 300, 0.0, 1, "l" * 600)) for n in range(400)]
    with monitor.server as server:
        server.headers = [(b"Microscaling-Detail", b"1")]
        for tasks in (Tasks(failures, 10), Tasks(failures[:9], 10)):
            before = len(server.link.messages) if server.open else 0
            wait_for(
                lambda tasks=tasks, before=before: (
                    monitor.send_metrics(tasks),
                    server.open and len(server.link.messages) > before + 1,
                )[1]
            )
            told = server.messages()[-1]["detail"]["tasks"]
            assert len(told) == len(tasks.tasks)
            assert {"failing" in entry for entry in told} == {len(told) == 9}
            assert len(json.dumps(told)) < 256 * 1024


def test_the_server_asks_for_containers(monitor):
    tasks = Tasks([Task("p1"), Task("p2")], 10)
    tasks.containers = lambda name: [ContainerView(f"{name}-{n}", "web", "running", 1.9) for n in range(99)]
    for nonsense in (
        b"",
        b'{"containers": 1}',
        b'{"containers": {"app": 1}}',
        b'"containers"',
        b'{"containers"',
    ):
        monitor.hear(nonsense)
    monitor.hear(question("p1").encode())
    with monitor.server as server:
        server.headers = [(b"Microscaling-Detail", b"1")]
        wait_for(lambda: (monitor.send_metrics(tasks), server.open and server.link.messages)[1])
        first, other = server.messages()[0]["detail"]["tasks"]
    assert first["containers"][0] == {"id": "p1-0", "name": "web", "state": "running", "seconds": 1}
    assert len(first["containers"]) == 50
    assert "containers" not in other


def test_of_a_scheduler_without_containers_there_are_none():
    (told,) = agent_detail(Tasks([Task("p1")], 10), "", "LOCAL", asked=["p1"])["tasks"]
    assert told["containers"] is None
