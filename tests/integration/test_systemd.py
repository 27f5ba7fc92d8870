"""The unit that we ship, under a real systemd."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from docker import APIClient

from tests.integration import engines
from tests.integration.agents import ROOT, wait_for
from tests.integration.systemd import Missing, Systemd

UNIT = ROOT / "deploy/microscaling.service"
HEALTH = (
    "env",
    "MSS_HEALTH_FILE=/run/microscaling/health.json",
    "/opt/microscaling/bin/microscaling",
    "--health",
)


@pytest.fixture
def task(prefix: str) -> str:
    return f"{prefix}unit"


@pytest.fixture
def systemd(engine: APIClient, task: str) -> Iterator[Systemd]:
    config = {"image": "mss-test/sleeper"}
    app = {"name": task, "priority": 1, "minContainers": 1, "maxContainers": 3, "config": config}
    try:
        own = Systemd(
            json.dumps({"maxContainers": 3, "apps": [app]}),
            MSS_CONFIG="FILE",
            MSS_CONFIG_FILE="/etc/microscaling/tasks.json",
            MSS_MONITOR="none",
            MSS_PULL_IMAGES="false",
        )
    except Missing as missing:
        pytest.skip(str(missing))
    try:
        own.start()
        yield own
    except Missing as missing:
        pytest.skip(str(missing))
    finally:
        own.remove()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_the_unit_makes_sense_and_lets_little_in() -> None:
    done = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    assert told == []
    judged = ["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT]
    assert subprocess.run(judged, capture_output=True).returncode == 0, "exposed by more than 2.0 of 10"


def test_ready_watched_restarted_and_stopped(systemd: Systemd, engine: APIClient, task: str) -> None:
    def running() -> set[str]:
        return {c["Id"] for c in engines.ours(engine, task) if c["State"] == "running"}

    systemd.ctl("start", "microscaling")  # returns when it has said READY=1
    systemd.shows(ActiveState="active", StatusText="3 of 3 containers run")
    first, of_task = systemd.inside(*HEALTH).splitlines()
    assert first == "healthy: 3 of 3 containers run"
    assert of_task.startswith(f"  {task}: ")
    assert systemd.inside("ps", "-o", "user=", "-p", systemd.show("MainPID")) == "microscaling"
    before, pid = running(), systemd.show("MainPID")

    systemd.inside("kill", "-STOP", pid)
    systemd.shows(NRestarts="1", ActiveState="active", StatusText="3 of 3 containers run")
    assert systemd.show("MainPID") != pid
    assert "Fatal Python error: Aborted" in systemd.log(), "where its threads were is in the log"
    assert f"adopted running containers: 3 of {task}" in systemd.log()
    assert running() == before

    systemd.ctl("stop", "microscaling")
    assert (systemd.show("ActiveState"), systemd.show("Result")) == ("inactive", "success")
    assert engines.ours(engine, task) == []
    assert systemd.log().splitlines()[-1].endswith("stopped")


def test_bad_settings_are_not_tried_again(systemd: Systemd) -> None:
    systemd.inside("sh", "-c", "echo MSS_CONFIG=NOWHERE >>/etc/microscaling/environment")
    systemd.ctl("start", "microscaling")
    wait_for(lambda: systemd.show("ExecMainStatus") == "2")
    systemd.shows(ActiveState="failed", NRestarts="0")
    assert "MSS_CONFIG=NOWHERE is not available" in systemd.log()
