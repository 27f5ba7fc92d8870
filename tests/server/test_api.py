"""The HTTP interface, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import websocket

from microscaling.api.apps import apps_from_data, apps_from_parsed
from microscaling.api.schema.declared import declared
from microscaling.config.file import FileConfig
from microscaling.demand.task import Task
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from tests.server.running import PLAN, Running, until

BAD: dict[str, Any] = {"maxContainers": -1, "apps": [{"priority": "x"}, {"name": "a", "minContainers": 2}]}


def test_config_is_kept_and_versioned(server: Running) -> None:
    path = "/api/users/config/config"
    assert server.get(path) == {"version": 0, "config": None}
    assert server.put(path, {"version": 0, "config": PLAN}) == {"version": 1, "warnings": []}
    assert server.get(path) == {"version": 1, "config": PLAN}
    assert server.ask("PUT", path, {"version": 0, "config": PLAN}).status_code == 412
    assert server.ask("DELETE", path).status_code == 200
    assert server.ask("DELETE", path).status_code == 404
    assert server.get(path)["version"] == 0


def test_config_is_checked_as_a_file_is(server: Running) -> None:
    answer = server.ask("PUT", "/api/users/bad/config", {"version": 0, "config": BAD})
    with pytest.raises(Exception, match="maxContainers") as error:
        apps_from_parsed(BAD, Settings())
    assert answer.status_code == 400
    assert answer.json()["problems"] == str(error.value).splitlines()
    assert server.ask("GET", "/apps/bad").status_code == 404


def test_warnings_come_back(server: Running) -> None:
    plan = {"maxContainers": 1, "colour": "red", "apps": [{"name": "a", "maxContainers": 1}]}
    assert server.put("/api/users/warn/config", {"version": 0, "config": plan})["warnings"] == [
        "colour: is not known here, and ignored",
        "as a YAML file it would be refused: colour: is not known; a name that begins with x- is ignored",
    ]


def as_file(server: Running, user: str, folder: Path) -> tuple[list[Task], int]:
    """The tasks and the cap of the YAML file that the server offers, read by MSS_CONFIG=FILE."""
    path = folder / "microscaling.yaml"
    path.write_text(server.ask("GET", f"/api/users/{user}/config.yaml").text, "utf-8")
    return FileConfig(Settings(config_file=str(path))).get_apps("me")


def test_what_is_saved_without_a_warning_is_a_file_too(server: Running, tmp_path: Path) -> None:
    assert server.put("/api/users/file/config", {"version": 0, "config": PLAN})["warnings"] == []
    tasks, cap = as_file(server, "file", tmp_path)
    wanted, wanted_cap = apps_from_parsed(PLAN, Settings())
    assert cap == wanted_cap
    assert [(task.name, type(task.target), task.image) for task in tasks] == [
        (task.name, type(task.target), task.image) for task in wanted
    ]


def test_a_rule_that_json_does_not_know_is_none_in_the_file_either(server: Running, tmp_path: Path) -> None:
    """YAML matches in any case, and would take this word for the rule Queue."""
    app = {"Name": "a", "maxContainers": 1, "RuleType": "queue"}
    server.put("/api/users/word/config", {"version": 0, "config": {"maxContainers": 1, "Apps": [app]}})
    ((task,), _) = as_file(server, "word", tmp_path)
    assert task.is_remainder()


def test_a_file_that_would_be_refused_says_so_at_its_top(server: Running, tmp_path: Path) -> None:
    plan = {"maxContainers": 1, "apps": [{"name": "a", "maxContainer": 1}]}
    said = server.put("/api/users/typo/config", {"version": 0, "config": plan})["warnings"]
    problem = "apps[0].maxContainer: is not known; did you mean maxContainers?"
    assert said[-1] == f"as a YAML file it would be refused: {problem}"
    with pytest.raises(ConfigError) as refused:
        as_file(server, "typo", tmp_path)
    assert [line.partition("microscaling.yaml: ")[2] for line in refused.value.problems] == [problem]
    first = (tmp_path / "microscaling.yaml").read_text("utf-8").splitlines()[0]
    assert first == f"# refused as YAML, but not as JSON: {problem}"


def test_all_that_a_configuration_may_hold(server: Running) -> None:
    data = server.get("/api/schema")
    assert data == json.loads(json.dumps(declared()))
    assert "PerContainer" in [rule["typeName"] for rule in data["rules"]]


def test_variables_of_the_agent_are_not_looked_for_here(server: Running) -> None:
    config = {"url": "http://${NO_SUCH_HOST}:${NO_SUCH_PORT}/", "headers": {"X": "${NOPE}"}, "path": "a"}
    plan = {
        "maxContainers": 1,
        "apps": [{"name": "a", "maxContainers": 1, "ruleType": "Queue", "metricType": "HTTP",
                  "config": {**config, "targetQueueLength": 1}}],
    }  # fmt: skip
    server.put("/api/users/refer/config", {"version": 0, "config": plan})
    assert server.get("/apps/refer")["apps"] == plan["apps"]


def test_downloads_are_what_an_agent_reads(server: Running) -> None:
    server.configure("down", "off")
    for form in ("json", "yaml"):
        answer = server.ask("GET", f"/api/users/down/config.{form}")
        assert answer.headers["Content-Disposition"] == f'attachment; filename="microscaling.{form}"'
        if form == "json":
            tasks, cap = apps_from_data(answer.content, Settings())
        else:
            from microscaling.utils.yaml_text import parse

            tasks, cap = apps_from_parsed(parse(answer.content), Settings())
        assert ([task.name for task in tasks], cap) == (["p1", "p2"], 10)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "mode", {"mode": "magic"}, 400),
        ("PUT", "mode", {"mode": ["off"]}, 400),
        ("PUT", "paused", {"paused": 1}, 400),
        ("PUT", "demand", {"demand": {"p1": 0}}, 400),
        ("PUT", "demand", {"demand": {"p1": 10}}, 400),
        ("PUT", "demand", {"demand": {"p1": True}}, 400),
        ("PUT", "demand", {"demand": {"nope": 1}}, 404),
        ("PUT", "demand", {"demand": [1]}, 400),
        ("PUT", "config", {"version": True, "config": PLAN}, 400),
        ("PUT", "config", {"version": 1, "config": [1]}, 400),
        ("PUT", "config", [], 400),
        ("GET", "history?since=-1", None, 400),
        ("GET", "history?since=٣", None, 400),
        ("POST", "config", {}, 405),
    ],
)
def test_refused(server: Running, method: str, path: str, body: Any, status: int) -> None:
    if not server.get("/api/users/refused/config")["version"]:
        server.configure("refused", "manual")
    before = server.get("/api/users/refused/config")
    answer = server.ask(method, f"/api/users/refused/{path}", body)
    assert answer.status_code == status, answer.text
    assert server.get("/api/users/refused/config") == before


def test_without_a_configuration_there_is_no_mode(server: Running) -> None:
    answer = server.ask("PUT", "/api/users/none/mode", {"mode": "random"})
    assert (answer.status_code, answer.json()) == (
        409,
        {"error": "there is no configuration for this site yet"},
    )
    assert "none" not in json.dumps(server.get("/api/users"))


def test_health(guarded: Running) -> None:
    assert [
        guarded.ask("GET", path, headers={"Authorization": ""}).text for path in ("/healthz", "/readyz")
    ] == [
        "ok\n",
        "ok\n",
    ]


@pytest.mark.parametrize("paused", [False, True])
def test_manual_begins_with_what_is_wanted(server: Running, paused: bool) -> None:
    name = f"begins-{paused}"
    server.configure(name, "off")
    server.put(f"/api/users/{name}/paused", {"paused": paused})
    with server.agent(name) as agent:
        agent.report(p1=(7, 7, 3), p2=(2, 2, 0))
        until(lambda: server.get(f"/api/users/{name}")["tasks"][0]["running"] == 7)
        state = server.put(f"/api/users/{name}/mode", {"mode": "manual"})
        assert {task["app"]: (task["demand"], task["slider"]) for task in state["tasks"]} == {
            "p1": (7, 7),
            "p2": (2, 2),
        }
        server.put(f"/api/users/{name}/paused", {"paused": False})
        assert agent.hear() == {"p1": 7, "p2": 2}
        server.put(f"/api/users/{name}/demand", {"demand": {"p1": 5}})
        server.put(f"/api/users/{name}/mode", {"mode": "manual"})
        assert agent.hear() == {"p1": 5}


def test_manual_begins_with_the_average_of_several_agents(server: Running) -> None:
    def both() -> bool:
        agents = server.get("/api/users/several")["agents"]
        return (agents["connected"], agents["local"]) == (2, 1)

    server.configure("several", "off")
    local = {"engine": "LOCAL", "tasks": [{"app": "p1", "demand": 3}]}
    with server.agent("several") as one, server.agent("several") as other:
        one.report(local, p1=(3, 3, 3))
        other.report(p1=(8, 8, 3), p2=(2, 2, 0))
        until(both, "two agents")
        state = server.put("/api/users/several/mode", {"mode": "manual"})
        assert {task["app"]: task["slider"] for task in state["tasks"]} == {"p1": 6, "p2": 2}


def test_containers_are_asked_for(server: Running) -> None:
    shown = {"id": "c1", "name": "web-1", "state": "running", "seconds": 9}
    task = {"app": "p1", "containers": [shown]}
    with server.agent("asked") as agent, server.agent("asked") as go:
        go.report(p1=(1, 1, 0))
        agent.report({"name": "host-1", "tasks": [{"app": "p1"}]}, p1=(1, 1, 0))
        until(lambda: server.get("/api/users/asked")["agents"]["connected"] == 2)
        assert server.get("/api/users/asked/containers?app=p2") == {"app": "p2", "agents": []}
        (entry,) = server.get("/api/users/asked/containers?app=p1")["agents"]
        assert (entry["answered"], entry["containers"]) == (False, None), "it has not answered in time"
        assert json.loads(agent.websocket.recv()) == {"containers": {"app": "p1"}}
        agent.report({"name": "host-1", "tasks": [task]}, p1=(1, 1, 0))
        until(lambda: server.get("/api/users/asked/containers?app=p1")["agents"][0]["answered"])
        (entry,) = server.get("/api/users/asked/containers?app=p1")["agents"]
        assert (entry["name"], entry["containers"]) == ("host-1", [shown])
        agent.report({"tasks": [{**task, "containers": None}]}, p1=(1, 1, 0))
        until(lambda: server.get("/api/users/asked/containers?app=p1")["agents"][0]["containers"] is None)
        go.websocket.settimeout(0.2)
        with pytest.raises(websocket.WebSocketTimeoutException):
            go.websocket.recv()
