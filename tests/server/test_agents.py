"""What agents get over the wire, the Go agent first of all."""

from __future__ import annotations

import time
from typing import Any

import pytest
import websocket

from microscaling.api.agent_report import agent_detail
from microscaling.control.views import status
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.telemetry.snapshot import snapshot
from tests.server.conftest import Start
from tests.server.running import PLAN, Running, until


def test_apps_as_the_go_agent_asks_for_them(server: Running) -> None:
    server.configure("apps", "off")
    answer = server.ask("GET", "/apps/apps", headers={"Content-Type": "application/json"})
    assert answer.json() == {"name": "apps", **PLAN}
    assert answer.headers["Content-Type"] == "application/json"
    assert server.ask("GET", "/apps/nobody").status_code == 404


def test_a_new_server_has_the_original_demonstration(start: Start) -> None:
    apps = start().get("/apps/5k5gk")["apps"]
    assert [app["name"] for app in apps] == ["priority-1", "priority-2"]


def test_current_state_at_once_then_only_changes(server: Running) -> None:
    server.configure("only", "manual")
    server.put("/api/users/only/demand", {"demand": {"p1": 3, "p2": 4}})
    with server.agent("only") as agent:
        agent.report(p1=(0, 0, 0), p2=(0, 0, 0))
        assert agent.hear() == {"p1": 3, "p2": 4}
        server.put("/api/users/only/demand", {"demand": {"p1": 5}})
        assert agent.hear() == {"p1": 5}
        server.put("/api/users/only/demand", {"demand": {"p1": 5}})  # nothing new
        server.put("/api/users/only/demand", {"demand": {"p2": 2}})
        assert agent.hear() == {"p2": 2}


def test_the_cap_holds_for_sliders(server: Running) -> None:
    server.configure("cap", "manual")
    server.put("/api/users/cap/demand", {"demand": {"p1": 8, "p2": 8}})
    with server.agent("cap") as agent:
        agent.report(p1=(0, 0, 0))
        assert agent.hear() == {"p1": 8, "p2": 2}


def test_queue_decides_as_the_local_engine(server: Running) -> None:
    server.configure("queue", "queue")
    with server.agent("queue") as agent:
        agent.report(p1=(1, 1, 0), p2=(9, 9, 0))
        assert agent.hear() == {"p1": 1, "p2": 9}
        agent.report(p1=(1, 1, 500), p2=(9, 9, 0))

        def given() -> Any:  # a report that follows too soon is no new measurement
            agent.report(p1=(1, 1, 500), p2=(9, 9, 0))
            task = server.get("/api/users/queue")["tasks"][1]
            return task["demand"] == 1 and task

        assert until(given)["reason"] == "gives 8 to p1, which comes first and is short of 8"


def test_paused_sends_nothing_and_resumed_the_current_state(server: Running) -> None:
    server.configure("pause", "manual")
    with server.agent("pause") as agent:
        agent.report(p1=(0, 0, 0))
        assert agent.hear() == {"p1": 1, "p2": 1}
        server.put("/api/users/pause/paused", {"paused": True})
        server.put("/api/users/pause/demand", {"demand": {"p1": 7}})
        server.put("/api/users/pause/demand", {"demand": {"p1": 6}})
        server.put("/api/users/pause/paused", {"paused": False})
        assert agent.hear() == {"p1": 6}


@pytest.mark.parametrize(
    ("origin", "headers", "status"),
    [
        (None, {}, 101),
        ("http://localhost/", {}, 101),
        ("http://localhost", {}, 403),
        ("http://evil.example", {}, 403),
        ("null", {}, 403),
        (None, {"Host": "rebound.example"}, 421),
        (None, {"Host": "server:8000"}, 101),
    ],
)
def test_who_may_open_the_websocket(
    server: Running,
    origin: str | None,
    headers: dict[str, str],
    status: int,
) -> None:
    try:
        with server.agent("who", origin, **headers):
            found = 101
    except websocket.WebSocketBadStatusException as error:
        found = error.status_code
    assert found == status


def test_details_are_asked_for_and_shown(server: Running) -> None:
    with server.agent("detail") as agent:
        assert (agent.websocket.getheaders() or {})["microscaling-detail"] == "1"
        task = {"app": "a", "demand": 5, "priority": 2, "min": 1, "max": 6, "target": 9, "backingOff": True,
                "held": "no answer", "fallback": "refused", "reason": "because"}  # fmt: skip
        agent.report({"name": "box", "engine": "LOCAL", "cap": 7, "hold": "", "tasks": [task]}, a=(3, 5, 12))
        state = until(lambda: (s := server.get("/api/users/detail"))["tasks"] and s)
    assert state["cap"] == 7
    assert state["agents"]["shown"][0]["name"] == "box"
    assert not state["configured"]
    expected = {"app": "a", "demand": 5, "running": 3, "requested": 5, "starting": 2, "stopping": 0,
                "target": 9, "metric": 12, "held": "no answer", "backingOff": True, "reason": "because",
                "fallback": "refused", "max": 6}  # fmt: skip
    assert state["tasks"][0].items() >= expected.items()


def test_frozen_ones_and_the_memory_of_warm_ones_are_shown(server: Running) -> None:
    """From the agent's tasks to the page, and to the agent's own command and metrics."""
    tasks = Tasks([Task("a", running=3, requested=3, frozen=2, warm_bytes=120_000_000)], 9)
    with server.agent("frozen") as agent:
        agent.report(agent_detail(tasks, "box", "LOCAL"), a=(3, 3, 0))
        [shown] = until(lambda: server.get("/api/users/frozen")["tasks"])
    assert (shown["frozen"], shown["warmBytes"]) == (2, 120_000_000)
    with tasks:
        (told,) = status(tasks, "DOCKER")["tasks"]
    assert (told["frozen"], told["warmBytes"]) == (2, 120_000_000)
    assert snapshot(tasks).tasks[0].warm_bytes == 120_000_000


def test_the_jobs_behind_a_reading_are_shown(server: Running) -> None:
    jobs = {"waiting": 12, "running": 4, "stuck": 1, "future": 30, "oldestSeconds": 9}
    with server.agent("jobs") as agent:
        task = {"app": "a", "target": 9, "metric": 16, "jobs": jobs}
        agent.report({"name": "box", "tasks": [task]}, a=(3, 5, 16))
        [shown] = until(lambda: server.get("/api/users/jobs")["tasks"])
    assert (shown["metric"], shown["jobs"]) == (16, jobs)


def test_the_go_agent_that_does_not_measure_keeps_what_it_has(start: Start) -> None:
    server = start()
    server.configure("go", "queue")
    with server.agent("go") as agent:
        for _ in range(6):
            agent.report(p1=(3, 3, 0), p2=(7, 7, 0))
            time.sleep(0.4)  # what follows sooner is no measurement
        task = until(lambda: server.get("/api/users/go")["tasks"][0])
        assert (task["demand"], task["metric"]) == (3, None)
        assert "MSS_DEMAND_ENGINE=SERVER" in task["held"]
        (said,) = server.warnings
        assert said.startswith("p1 of site go held: the agent has sent no reading of it")
        agent.report(p1=(3, 3, 60), p2=(7, 7, 0))
        agent.report(p1=(3, 3, 0), p2=(7, 7, 0))
        task = until(lambda: (t := server.get("/api/users/go")["tasks"][0])["metric"] == 0 and t)
        assert task["held"] == ""


def test_a_task_of_which_nobody_tells_has_no_reading(server: Running) -> None:
    server.configure("alone", "queue")
    task = server.get("/api/users/alone")["tasks"][0]
    assert (task["target"], task["metric"], task["reported"]) == (50, None, False)


@pytest.mark.parametrize(
    ("more", "metric"),
    [
        ({"metric": 0}, 0),
        ({"metric": None}, None),
        ({"target": 9}, 0),  # older versions
        ({"target": 9, "held": "no answer"}, None),
        ({"target": 9, "fallback": "refused"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_our_agents_say_whether_there_is_a_reading(
    server: Running,
    more: dict[str, Any],
    metric: int | None,
) -> None:
    server.configure("ours", "queue")
    with server.agent("ours") as agent:
        task = {"app": "p1", "demand": 3, "priority": 2, "min": 1, "max": 6, **more}
        agent.report({"name": "box", "engine": "SERVER", "tasks": [task]}, p1=(3, 3, 0))
        shown = until(lambda: (t := server.get("/api/users/ours")["tasks"][0])["reported"] and t)
    assert shown["metric"] == metric
    assert bool(shown["held"] or shown["fallback"]) == (metric is None)


def test_what_an_agent_does_not_say_is_not_0(server: Running) -> None:
    with server.agent("terse") as agent:
        agent.report(a=(1, 1, 0))
        state = until(lambda: (s := server.get("/api/users/terse"))["tasks"] and s)
    task = state["tasks"][0]
    assert [task[key] for key in ("priority", "min", "max", "metric", "target")] == [None] * 5
    assert state["cap"] is None
