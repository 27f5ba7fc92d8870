"""A real Prometheus reads a real agent; what is shipped for Grafana and Prometheus works on that."""

from __future__ import annotations

import json
import math
import re
import signal
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.pages import DOCS, ROOT, blocks_of
from tests.services.prometheus import Prometheus
from tests.services.service import ask, find, free_port, wait_for
from tests.test_main import run, start

RULES = ROOT / "deploy" / "prometheus" / "microscaling.rules.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "microscaling.json").read_text())
CONFIG = """\
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}
rule_files: [{rules}]
scrape_configs:
  - job_name: microscaling
    static_configs: [{{targets: {targets}}}]
"""
MARK = f"-{uuid.uuid4().hex[:8]}"
"""At the end of the names, as other agents of this user may run here."""
ALERTS_OF_THE_SCENE = {
    ("MicroscalingTaskHeld", "blind"),
    ("MicroscalingTaskFailing", "crasher"),
    ("MicroscalingTaskAtMaximum", "mailer"),
    ("MicroscalingTaskByHand", "paused"),
}


def sql(folder: Path, name: str, file: str, **more: Any) -> dict[str, Any]:
    config = {"targetQueueLength": 10, "databaseURL": f"sqlite:///{folder}/{file}",
              "query": "SELECT count(*) FROM jobs", "command": "sleep 600"}  # fmt: skip
    return {"name": name + MARK, "maxContainers": 3, "ruleType": "SimpleQueue", "metricType": "SQL",
            "config": config} | more  # fmt: skip


def fill(folder: Path, count: int) -> None:
    with closing(sqlite3.connect(folder / "jobs.db")) as db, db:
        db.executemany("INSERT INTO jobs VALUES (?)", [(i,) for i in range(count)])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """An agent at work, with a task of each kind of trouble, and a Prometheus that has seen its beginning."""
    folder = tmp_path_factory.mktemp("scene")
    with closing(sqlite3.connect(folder / "jobs.db")) as db, db:
        db.execute("CREATE TABLE jobs (id)")
    apps = [
        sql(folder, "mailer", "jobs.db", priority=1),
        sql(folder, "paused", "jobs.db", priority=2),
        sql(folder, "blind", "none.db", priority=3),
        {"name": f"crasher{MARK}", "priority": 4, "minContainers": 1, "maxContainers": 1,
         "ruleType": "Remainder", "config": {"command": "false"}},
    ]  # fmt: skip
    address = f"127.0.0.1:{free_port()}"
    environ = {
        "MSS_SCHEDULER": "PROCESS", "MSS_MONITOR": "none", "MSS_STATE_DIR": str(folder / "state"),
        "MSS_CONFIG_DATA": json.dumps({"maxContainers": 8, "apps": apps}), "MSS_METRICS_ADDRESS": address,
    }  # fmt: skip
    (folder / "prometheus").mkdir()
    prometheus = Prometheus(folder / "prometheus", address)
    agent = start(**environ)
    try:
        with pytest.MonkeyPatch.context() as patch:
            config = CONFIG.replace("{rules}", json.dumps(str(RULES)))
            patch.setattr("tests.services.prometheus.CONFIG", config)
            with prometheus:
                wait_for(lambda: prometheus.result("microscaling_beats_total > 1"))
                assert run("pause", f"paused{MARK}")[0] == 0
                fill(folder, 100)
                yield prometheus
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=60)


def queries() -> list[str]:
    found = {target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    assert len(found) > 20
    return sorted(found)


def answers(prometheus: Prometheus, query: str) -> list[Any]:
    """The numbers that a query gives; one without any value yet is none."""
    for variable, value in {"$instance": ".*", "$task": ".*", "$__rate_interval": "1m"}.items():
        query = query.replace(variable, value)
    found: Any = prometheus.result(query)
    return [each for each in found if not math.isnan(float(each["value"][1]))]


@pytest.mark.parametrize("query", queries())
def test_every_query_of_the_dashboard_returns_data(scene: Prometheus, query: str) -> None:
    assert "$" not in query.replace("$instance", "").replace("$task", "").replace("$__rate_interval", "")
    assert wait_for(lambda: answers(scene, query), query, 60)


def test_the_variables_of_the_dashboard(scene: Prometheus) -> None:
    found = {}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.findall(r"label_values\((\w+).*, (\w+)\)", variable["query"])[0]
            url = f"{scene.url}/api/v1/label/{label}/values?match[]={metric}"
            found[variable["name"]] = json.loads(ask(url))["data"]
    assert found == {
        "instance": [*scene.targets],
        "task": sorted(f"{name}{MARK}" for name in ("mailer", "paused", "blind", "crasher")),
    }


def test_the_alerts_see_what_is_wrong(scene: Prometheus) -> None:
    def active() -> set[tuple[str, str]]:
        alerts = json.loads(ask(f"{scene.url}/api/v1/alerts"))["data"]["alerts"]
        labels = (alert["labels"] for alert in alerts)
        return {(each["alertname"], each.get("task", "").removesuffix(MARK)) for each in labels}

    wait_for(lambda: active() >= ALERTS_OF_THE_SCENE, "not all alerts came", 60)
    assert {name for name, _ in active()} <= {name for name, _ in ALERTS_OF_THE_SCENE} | {
        "MicroscalingSourceErrors",  # of the task that is blind
        # On a busy machine: there a scrape may take longer than its 200 ms, too.
        "MicroscalingAgentDown",
        "MicroscalingBeatsSkipped",
        "MicroscalingReactionSlow",
    }
    rules = json.loads(ask(f"{scene.url}/api/v1/rules"))["data"]["groups"][0]["rules"]
    assert {(rule["name"], rule["health"]) for rule in rules if rule["health"] != "ok"} == set()


def test_the_numbers_are_right(scene: Prometheus) -> None:
    def value(query: str) -> float:
        # After a scrape that took longer than its 200 ms there is none until the next one.
        (found,) = wait_for(lambda: answers(scene, query), query, 60)
        return float(found["value"][1])

    task = f'task="mailer{MARK}"'
    wait_for(lambda: value(f"microscaling_task_running_containers{{{task}}}") == 3, within_s=60)
    assert value(f"microscaling_task_reading_items{{{task}}}") == 100
    assert value(f"microscaling_task_target_items{{{task}}}") == 10
    assert value(f"microscaling_task_max_containers{{{task}}}") == 3
    assert value(f'microscaling_task_condition{{{task},condition="maximum"}}') == 1
    assert value("microscaling_cap_containers") == 8
    wait_for(
        lambda: value(f'microscaling_task_operations_total{{{task},operation="start",outcome="ok"}}') == 3
    )
    wait_for(lambda: value("microscaling_reaction_duration_seconds_count") >= 1)
    wait_for(lambda: value(f'microscaling_task_failures_total{{task="crasher{MARK}"}}') >= 3)
    wait_for(lambda: value('sum(microscaling_source_errors_total{source=~".*none.db"})') >= 1)


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text;version=1.0.0"])
def test_the_formats(scene: Prometheus, accept: str) -> None:
    body = ask(f"http://{scene.targets[0]}/metrics", Accept=accept)
    if accept == "text/plain":
        ended = subprocess.run([find("promtool"), "check", "metrics"], input=body, capture_output=True)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
        return
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["microscaling_task_decisions"].type == "counter"
    assert families["microscaling_reaction_duration_seconds"].type == "histogram"


def test_the_configuration_of_the_page_is_valid(tmp_path: Path) -> None:
    (block,) = blocks_of(DOCS / "metrics.md", "yaml")
    (tmp_path / "prometheus.yml").write_text(block.text)
    (tmp_path / "microscaling.rules.yml").write_text(RULES.read_text())
    command = [find("promtool"), "check", "config", tmp_path / "prometheus.yml"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_rules_are_valid_and_come_when_they_should() -> None:
    promtool = find("promtool")
    for arguments in (["check", "rules", RULES], ["test", "rules", Path(__file__).with_name("alerts.yml")]):
        ended = subprocess.run([promtool, *arguments], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
