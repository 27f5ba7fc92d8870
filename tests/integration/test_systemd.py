"""The unit that we ship, under a real systemd."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from docker import APIClient

from microscaling.settings import files
from tests.integration import engines
from tests.integration.agents import ROOT, wait_for
from tests.integration.systemd import TOKEN, Missing, Systemd
from tests.services.service import free_port

UNIT = ROOT / "deploy/microscaling.service"
SERVER = ROOT / "deploy/microscaling-server.service"
OPTIONAL = re.compile(r"^#(?=LoadCredential=|Environment=\w+_FILE=)", re.MULTILINE)
"""Before lines of a unit that a person makes count."""
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
@pytest.mark.parametrize("credentials", [False, True], ids=["as it is", "with credentials"])
@pytest.mark.parametrize("shipped", [UNIT, SERVER], ids=lambda path: path.stem)
def test_the_unit_makes_sense_and_lets_little_in(tmp_path: Path, shipped: Path, credentials: bool) -> None:
    unit = tmp_path / shipped.name
    text, count = OPTIONAL.subn("", shipped.read_text())
    assert count == 2
    unit.write_text(text if credentials else shipped.read_text())
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    assert told == []
    judged = ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit]
    assert subprocess.run(judged, capture_output=True).returncode == 0, "exposed by more than 2.0 of 10"


@pytest.mark.parametrize("shipped", [UNIT, SERVER], ids=lambda path: path.stem)
def test_each_credential_is_the_file_of_a_variable(shipped: Path) -> None:
    text = OPTIONAL.sub("", shipped.read_text())
    loaded = re.findall(r"^LoadCredential=([\w-]+):/", text, re.MULTILINE)
    named = dict(re.findall(r"^Environment=(\w+_FILE)=%d/([\w-]+)$", text, re.MULTILINE))
    assert list(named.values()) == loaded
    assert set(named) <= set(files())


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


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def systemd_alone(port: int) -> Iterator[Systemd]:
    """Without an engine."""
    try:
        own = Systemd(server=f"127.0.0.1:{port}")
    except Missing as missing:
        pytest.skip(str(missing))
    try:
        own.start()
        yield own
    except Missing as missing:
        pytest.skip(str(missing))
    finally:
        own.remove()


def test_the_server_serves_and_keeps_its_store(systemd_alone: Systemd, port: int) -> None:
    def answer(**headers: str) -> int:
        with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("GET", "/apps/5k5gk", headers=headers)
            return connection.getresponse().status

    def healthy() -> bool:
        asked = ("env", f"MSS_SERVER_ADDRESS=127.0.0.1:{port}", "/opt/microscaling/bin/microscaling")
        return systemd_alone.inside(*asked, "server", "--health").startswith("healthy: ")

    unit = "microscaling-server"
    systemd_alone.ctl("start", unit)
    wait_for(healthy, "for the server", 60)
    assert (answer(), answer(Authorization=f"Bearer {TOKEN}")) == (401, 200)
    store = systemd_alone.inside("stat", "-L", "-c", "%a", "/var/lib/microscaling/server.db")
    assert store == "600"
    systemd_alone.ctl("stop", unit)
    state = [systemd_alone.ctl("show", "-P", name, unit) for name in ("ActiveState", "Result")]
    assert state == ["inactive", "success"]
