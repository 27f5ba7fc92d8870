"""Numbers that applications push, and what becomes of them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from microscaling.clients.server_address import ServerAddress
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.push import PushMetric
from microscaling.server.domain import pushes
from microscaling.server.domain.pushes import Pushes
from microscaling.server.limits import Refused
from tests.integration.agents import AgentProcess
from tests.server.conftest import TOKEN
from tests.server.running import ROOT, Running, until

PLAN: dict[str, Any] = {
    "maxContainers": 10,
    "apps": [
        {"name": "mailer", "maxContainers": 8, "ruleType": "PerContainer", "metricType": "Push",
         "config": {"targetPerContainer": 10, "image": "mailer", "maxAgeSeconds": 1}},
    ],
}  # fmt: skip


def path_of(site: str, task: str = "mailer") -> str:
    return f"/api/users/{site}/tasks/{task}/measurement"


def metric_of(server: Running, site: str, task: str = "mailer", **more: Any) -> PushMetric:
    metric = PushMetric(ServerAddress(server.url, server.token), site, **more)
    metric.task = task
    return metric


@pytest.fixture
def measure(server: Running) -> Iterator[Any]:
    """Returns a function that reads what was pushed as an agent does."""
    made: list[PushMetric] = []

    def measured(site: str, task: str = "mailer", **more: Any) -> Measurement | None:
        made.append(metric_of(server, site, task, **more))
        made[-1].update()
        found = made[-1].measured
        assert found is not None
        assert found.age_s < 60
        return Measurement(found.waiting, found.running, found.stuck, found.future, found.paused)

    yield measured
    for metric in made:
        metric.source.close()  # type: ignore[union-attr]


def test_the_last_number_of_each_task_is_read(server: Running, measure: Any) -> None:
    server.put(path_of("last"), {"waiting": 5})
    assert server.put(path_of("last"), {"waiting": 12, "running": 3, "stuck": 1, "future": 9}) == {}
    server.put(path_of("last", "shop%2Fweb"), {"waiting": 0, "paused": True})
    assert measure("last") == Measurement(12, 3, stuck=1, future=9)
    assert measure("last", "shop/web") == Measurement(0, paused=True)
    with pytest.raises(MetricError, match='nothing has been pushed for "other" since the server was started'):
        measure("last", "other")
    with pytest.raises(MetricError, match='nothing has been pushed for "mailer"'):
        measure("elsewhere")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "has no waiting"),
        ({"waiting": -1}, "-1 is out of range"),
        ({"waiting": None}, "waiting: expected a whole number, got null"),
        ({"waiting": "many"}, "waiting: expected a whole number"),
        ({"waiting": 1, "running": 1.5}, "running: expected a whole number"),
        ({"waiting": 1, "runing": 2}, '"runing" is unknown: expected waiting, running'),
        ({"waiting": 1, "at": 2}, '"at" is unknown'),
    ],
)  # fmt: skip
def test_what_is_no_measurement_is_refused(server: Running, measure: Any, body: Any, why: str) -> None:
    server.put(path_of("refused"), {"waiting": 7})
    answer = server.ask("PUT", path_of("refused"), body)
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert measure("refused") == Measurement(7)


def test_a_task_that_the_site_does_not_have_is_refused(server: Running) -> None:
    server.configure("known", "off", PLAN)
    assert server.ask("PUT", path_of("known"), {"waiting": 1}).status_code == 200
    assert server.ask("PUT", path_of("known", "mailr"), {"waiting": 1}).status_code == 404
    with server.agent("reported") as agent:
        agent.report(a=(1, 1, 0))
        until(lambda: server.get("/api/users/reported")["tasks"])
        assert server.ask("PUT", path_of("reported", "a"), {"waiting": 1}).status_code == 200
        assert server.ask("PUT", path_of("reported", "b"), {"waiting": 1}).status_code == 404
    assert server.ask("PUT", path_of("a b", "x" * 129), {"waiting": 1}).status_code == 404


def test_an_old_number_is_no_reading(server: Running, measure: Any) -> None:
    server.put(path_of("old"), {"waiting": 7})
    metric = metric_of(server, "old", max_age_s=0.2)

    def problem() -> str:
        try:
            metric.update()
        except MetricError as error:
            return str(error)
        return ""

    # As a rule 0 s, but a busy machine may look at it later.
    assert re.search(r"was pushed \d+ s ago, and counts for 0\.2 s \(maxAgeSeconds\)", until(problem))
    assert measure("old", max_age_s=3600) == Measurement(7)
    metric.source.close()  # type: ignore[union-attr]


def test_it_is_the_same_measurement_until_the_next_push(server: Running) -> None:
    metric = metric_of(server, "same")
    stamps = []
    for _ in range(2):
        server.put(path_of("same"), {"waiting": 7})
        for _ in range(2):
            metric.update()
            stamps.append(metric.stamp)
        time.sleep(0.01)
    metric.source.close()  # type: ignore[union-attr]
    assert stamps[0] == stamps[1] < stamps[2] == stamps[3]  # type: ignore[operator]


def test_the_request_of_the_page(guarded: Running) -> None:
    page = (ROOT / "docs/sources/push.md").read_text("utf-8")
    words = iter(shlex.split(section_of(page, "sh")))
    headers: dict[str, str] = {}
    url = body = ""
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value.replace("$MSS_SERVER_TOKEN", TOKEN)
        elif word == "-d":
            body = next(words)
        elif word.startswith("http"):
            url = word.partition(":8000")[2]
    assert url
    with requests.Session() as session:
        session.trust_env = False
        answer = session.put(guarded.url + url, body, headers=headers, timeout=60)
    assert (answer.status_code, answer.text) == (200, "{}")
    found = guarded.get("/api/users/shop/measurements")["tasks"]["mailer"]
    assert (found["waiting"], found["running"]) == (12, 3)


def section_of(page: str, language: str) -> str:
    return page.partition(f"```{language}\n")[2].partition("```")[0]


def test_it_needs_the_token(guarded: Running) -> None:
    with_token = guarded.put(path_of("token"), {"waiting": 7})
    assert with_token == {}
    answer = guarded.ask("PUT", path_of("token"), {"waiting": 9}, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401
    metric = metric_of(guarded, "token")
    metric.update()
    assert metric.current == 7
    stranger = PushMetric(ServerAddress(guarded.url, "wrong"), "token")
    stranger.task = "mailer"
    with pytest.raises(MetricError, match="HTTP 401"):
        stranger.update()
    for each in (metric, stranger):
        each.source.close()  # type: ignore[union-attr]


def test_the_server_decides_by_it_for_agents_that_measure_nothing(server: Running) -> None:
    """As the Go agent does with MSS_DEMAND_ENGINE=SERVER."""
    server.configure("decides", "queue", PLAN)
    path = path_of("decides")
    with server.agent("decides") as agent:

        def task() -> Any:
            agent.report(mailer=(2, 2, 0))
            return server.get("/api/users/decides")["tasks"][0]

        until(lambda: "nothing has been pushed" in task()["held"])

        def pushed(count: int, wanted: int) -> Any:
            server.put(path, {"waiting": count, "running": 1})
            return task()["demand"] == wanted

        until(lambda: pushed(59, 6))
        until(lambda: pushed(9, 1))
        until(lambda: " s ago, and counts for 1 s" in task()["held"], "no more was pushed")
        assert task()["demand"] >= 1


def test_an_agent_that_decides_by_itself_follows_it(server: Running, tmp_path: Path) -> None:
    app = {"name": "mailer", "maxContainers": 3, "ruleType": "PerContainer", "metricType": "Push",
           "config": {"targetPerContainer": 10, "command": "sleep 3600"}}  # fmt: skip
    settings = {"MSS_SCHEDULER": "PROCESS", "MSS_STATE_DIR": str(tmp_path / "state"),
                "MSS_API_ADDRESS": server.url, "MSS_USER_ID": "itself"}  # fmt: skip
    with AgentProcess(tmp_path, [app], 3, **settings) as agent:
        agent.says('mailer held: nothing has been pushed for "mailer"')
        server.put(path_of("itself"), {"waiting": 18, "running": 2})
        agent.says("mailer: 0 -> 2 (queue 20 at 10 for each (18 waiting, 2 running)")
        server.put(path_of("itself"), {"waiting": 0})
        agent.says("mailer: 2 -> 0")
        assert agent.stop() == 0


def test_without_a_server_of_ones_own_it_says_so() -> None:
    config = '{"maxContainers": 1, "apps": [{"name": "a", "maxContainers": 1, "ruleType": "Queue", ' \
             '"metricType": "Push", "config": {"targetQueueLength": 5, "command": "sleep 9"}}]}'  # fmt: skip
    environ = {
        "MSS_CONFIG": "ENVVAR",
        "MSS_CONFIG_DATA": config,
        "MSS_SCHEDULER": "PROCESS",
        "MSS_MONITOR": "none",
    }
    run = subprocess.run(
        [sys.executable, "-m", "microscaling"], env=environ, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 2, run.stderr
    assert "metricType Push needs MSS_API_ADDRESS to be a server of your own" in run.stderr
    with pytest.raises(ConfigError, match="needs MSS_API_ADDRESS"):
        PushMetric(ServerAddress("http://app.microscaling.com"), "me").source.check()  # type: ignore[union-attr]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushes, "MAX_PUSHED", 3)
    monkeypatch.setattr(pushes, "MAX_APPS", 2)
    kept = Pushes()
    for task in ("a", "b", "a"):
        kept.put("one", task, Measurement(1))
    with pytest.raises(Refused, match="more than 2 tasks of this site"):
        kept.put("one", "c", Measurement(1))
    kept.put("two", "a", Measurement(1))
    with pytest.raises(Refused, match="more than 3 tasks"):
        kept.put("three", "a", Measurement(1))
    monkeypatch.setattr(pushes, "FORGET_S", 0.0)
    kept.put("three", "a", Measurement(1))
    assert (kept.of("one"), list(kept.of("three"))) == ({}, ["a"])
