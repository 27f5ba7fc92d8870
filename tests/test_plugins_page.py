"""The examples of docs/plugins.md, as a package of somebody else's: they work as they stand there."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microscaling.plugins import Field
from tests.integration.agents import ROOT, AgentProcess

PAGE = (ROOT / "docs" / "plugins.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The variables with which Python finds the package, as pip would have installed it."""
    folder = tmp_path / "site"
    (folder / "example-1.0.dist-info").mkdir(parents=True)
    (folder / "example-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n"
    )
    for code in blocks("python"):
        name = re.match(r"# (\w+\.py)\n", code)
        assert name, code
        (folder / name[1]).write_text(code)
    (entries,) = blocks("toml")
    entries = re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", entries).replace('"', "")
    (folder / "example-1.0.dist-info" / "entry_points.txt").write_text(entries)
    return {"PYTHONPATH": str(folder)}


def task(**config: Any) -> dict[str, Any]:
    (text,) = blocks("json")
    app = json.loads(text)
    return {**app, "config": {**app["config"], **config}}


def test_an_agent_scales_by_them(tmp_path: Path, installed: dict[str, str]) -> None:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    for i in range(3):
        (jobs / f"{i}.job").touch()
    (jobs / "readme").touch()
    with AgentProcess(tmp_path, [task(folder=str(jobs))], MSS_SCHEDULER="TOY", **installed) as agent:
        agent.says("3 items and 2 spare")
        agent.says("mailer: 0 -> 5")
        (jobs / "0.job").unlink()
        agent.says("mailer: 5 -> 4 (2 items and 2 spare")
        assert agent.stop() == 0


def test_mistakes_are_named(tmp_path: Path, installed: dict[str, str]) -> None:
    app = task(folder="jobs", spareContainers=-1)
    with AgentProcess(tmp_path, [app], MSS_SCHEDULER="TOY", **installed) as agent:
        assert agent.process.wait(60) == 2
        agent.says("apps[0].config.folder: expected an absolute path")
        agent.says("apps[0].config.spareContainers: expected a whole number, 0 or more, got -1")


def schema(installed: dict[str, str]) -> tuple[Any, str]:
    """The properties of a task in the schema, and the log."""
    environ = {**os.environ, **installed}
    printed = subprocess.run(
        [sys.executable, "-m", "microscaling", "schema"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        check=True,
    )
    return json.loads(printed.stdout)["properties"]["apps"]["items"]["properties"], printed.stderr.decode()


def test_the_schema_has_them(installed: dict[str, str]) -> None:
    properties, log = schema(installed)
    assert log == ""
    assert "Spare" in properties["ruleType"]["enum"]
    assert "Folder" in properties["metricType"]["examples"]
    assert {"folder", "pattern", "spareContainers"} <= set(properties["config"]["properties"])


def test_a_broken_one_is_left_out(installed: dict[str, str]) -> None:
    """Its default has no place in JSON, which would cost the page all its rules and metrics."""
    folder = Path(installed["PYTHONPATH"])
    code = (folder / "spare_rule.py").read_text()
    (folder / "spare_rule.py").write_text(code.replace("default=1", "default=object()"))
    properties, log = schema(installed)
    assert "Folder" in properties["metricType"]["examples"]
    assert "Spare" not in properties["ruleType"]["enum"]
    assert len(log.splitlines()) == 1
    assert "field spareContainers: the default is no value of JSON" in log


def test_every_argument_of_a_field_is_explained() -> None:
    table = PAGE.partition("## Fields")[2]
    names = {field.name for field in dataclasses.fields(Field)} - {"key", "label"}
    assert {name for name in names if f"`{name}`" not in table} == set()
