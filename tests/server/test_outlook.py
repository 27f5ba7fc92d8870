"""Why a task has its containers now, and what would change that."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from microscaling.api.agent_report import agent_detail
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.metric.toy import ToyMetric
from microscaling.server.domain.outlook import outlooks
from microscaling.server.domain.reports import AgentInfo, Report, TaskReport, read_report
from microscaling.server.domain.state import state_of
from microscaling.server.domain.user_config import read_plan
from microscaling.server.domain.users import User, Users, UserSettings
from microscaling.settings import Settings
from microscaling.target.queue import QueueLengthTarget
from tests.server.running import PLAN
from tests.server.test_users import Recorded

QUEUE = TaskReport(4, 4, 40, demand=4, least=1, most=8, rule="Queue", back=35, more=63)
BACK = "gives back at 35 and fewer"
REST = TaskReport(3, 3, None, demand=3, least=1, most=9, rule="Remainder")


def site(mode: str, paused: bool = False, **sliders: int) -> tuple[Users, User]:
    everyone = Users()
    user = everyone.keep(everyone.get("shop"))
    user.set(UserSettings(1, read_plan(PLAN, Settings()), mode, paused, sliders))
    return everyone, user


def now(everyone: Users, user: User, about: AgentInfo | None, **tasks: TaskReport) -> dict[str, str]:
    everyone.hear(Recorded(everyone).agent, Report("shop", tasks, about), 0.0)
    return {app: outlook.now for app, outlook in outlooks(user, user.agents.values()).items()}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (QUEUE, "has enough; gives back at 35 and fewer, wants more from 63"),
        (replace(QUEUE, back=0), "has enough; gives back at 0, wants more from 63"),
        (replace(QUEUE, back=None), "has enough; wants more from 63"),
        (replace(QUEUE, back=None, more=None), "has enough"),
        (replace(QUEUE, rule=""), ""),
        (replace(QUEUE, rule="", held="no answer"), "no reading: stays at 4"),
        (replace(QUEUE, least=4), "needs no more than its minimum, 4; wants more from 63"),
        (replace(QUEUE, most=4, lacks=6), "would want 10: it is at its maximum, 4; " + BACK),
        (replace(QUEUE, demand=8, lacks=6), "would want 10: it is at its maximum, 8; " + BACK),
        (replace(QUEUE, demand=6, lacks=2), "has enough; gives back at 35 and fewer, wants more from 63"),
        (
            replace(QUEUE, lacks=2),
            "would want 6: the cap, 7, is used up; gives back at 35 and fewer, wants more from 63",
        ),
        (replace(QUEUE, held="no answer"), "no reading: stays at 4"),
        (replace(QUEUE, fallback="no answer"), "no reading: its fallback gives it 4"),
        (replace(QUEUE, backing_off=True), "its containers keep failing: it waits before the next try"),
        (REST, "takes what the others leave of the cap, 7"),
        (replace(REST, demand=1), "takes what the others leave of the cap, 7, and keeps its minimum"),
        (replace(REST, most=3), "takes what the others leave: it is at its maximum, 3"),
    ],
)  # fmt: skip
def test_an_agent_that_decides_by_itself(told: TaskReport, said: str) -> None:
    assert now(*site("off"), AgentInfo(engine="LOCAL", cap=7), p1=told) == {"p1": said}


def test_the_obstacle_is_another_one() -> None:
    lacks = replace(QUEUE, lacks=2, back=None, more=None)
    goes = replace(REST, stopping=2)
    assert now(*site("off"), AgentInfo(engine="LOCAL", cap=7), p1=lacks, p2=goes)["p1"] == (
        "would want 6: it waits for 2 that stop"
    )
    full = AgentInfo(engine="LOCAL", cap=7, occupied=3)
    assert now(*site("off"), full, p1=lacks)["p1"].endswith("is used up (less 3 that belong to no demand)")
    second = AgentInfo(engine="LOCAL", cap=7, hold="a second agent is here")
    assert now(*site("off"), second, p1=lacks)["p1"].endswith(": a second agent is here")


def test_it_waits_for_containers_that_drain() -> None:
    """From the agent's tasks to the page, by its report."""
    goes = Task("p2", running=3, stopping=2, draining=2, max_containers=9)
    goes.drains_until = time.monotonic() + 2460
    waits = Task("p1", demand=4, requested=4, running=2, parked=2, max_containers=8, ideal_containers=4)
    waits.target, waits.metric = QueueLengthTarget(50, Settings()), ToyMetric(40)
    tasks = Tasks([waits, goes], 7)
    detail = agent_detail(tasks, "a", "LOCAL")
    assert (detail["tasks"][1]["draining"], detail["tasks"][1]["drainSeconds"]) == (2, 2460)
    counts = [{"app": t.name, "runningCount": t.running, "pendingCount": t.requested} for t in tasks.tasks]
    report = read_report(json.dumps({"user": "shop", "metrics": {"tasks": counts}, "detail": detail}))
    assert now(*site("off"), report.about, **report.tasks)["p1"].startswith(
        "waits for 2 that drain, at most 41 min"
    )


@pytest.mark.parametrize(
    ("mode", "more", "said"),
    [
        ("manual", {"p1": 5}, "as its slider wants: 5"),
        ("manual", {"p1": 9, "p2": 9}, "as its slider wants: 9"),
        ("off", {}, "nothing is wanted: it stays as it is"),
        ("queue", {"paused": True}, "paused: it stays as it is"),
        ("random", {}, "by chance"),
    ],
)
def test_an_agent_of_the_server(mode: str, more: dict[str, Any], said: str) -> None:
    about = AgentInfo(engine="SERVER", cap=10)
    assert now(*site(mode, **more), about, p1=QUEUE, p2=REST)["p1"] == said


def test_sliders_above_the_cap() -> None:
    said = now(*site("manual", p1=9, p2=9), AgentInfo(engine="SERVER", cap=10), p1=QUEUE, p2=REST)
    assert said["p2"] == "its slider wants 9: the cap, 10, leaves it 1"


def test_the_servers_own_calculation() -> None:
    told = replace(QUEUE, running=9, requested=9, demand=9, metric=400)
    said = now(
        *site("queue"), AgentInfo(engine="SERVER", cap=10), p1=told, p2=replace(REST, running=1, requested=1)
    )
    assert said == {
        "p1": "would want 23: it is at its maximum, 9; gives back at 35 and fewer",
        "p2": "takes what the others leave of the cap, 10, and keeps its minimum",
    }  # fmt: skip


def test_of_several_agents_none_is_taken_for_all() -> None:
    everyone, user = site("off")
    about = AgentInfo(engine="LOCAL", cap=7)
    now(everyone, user, about, p1=QUEUE)
    assert (
        now(everyone, user, about, p1=QUEUE)["p1"] == "several agents have it: choose one of them to see why"
    )
    assert state_of(user)["tasks"][0]["more"] is None


def test_what_an_agent_sends_is_what_the_page_gets() -> None:
    task = Task("p1", 4, 4, 4, max_containers=8, max_delta=8, ideal_containers=9, metric=ToyMetric(400),
                target=QueueLengthTarget(50, Settings()))  # fmt: skip
    tasks = Tasks([task, Task("p2", 1, 1, 1, max_containers=9)], 5)
    detail = agent_detail(tasks, "web-1", "LOCAL")
    metrics = {
        "tasks": [{"app": name, "runningCount": n, "pendingCount": n} for name, n in (("p1", 4), ("p2", 1))]
    }
    report = read_report(json.dumps({"user": "shop", "metrics": metrics, "detail": detail}))
    everyone, user = site("off")
    everyone.hear(Recorded(everyone).agent, report, 0.0)
    first, rest = state_of(user)["tasks"]
    assert (first["now"], first["back"], first["more"]) == (
        "would want 9: the cap, 5, is used up; gives back at 35 and fewer, wants more from 63",
        35,
        63,
    )
    assert (rest["now"], rest["back"], rest["more"]) == (
        "takes what the others leave of the cap, 5",
        None,
        None,
    )
