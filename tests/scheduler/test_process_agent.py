"""The agent itself, killed or told to leave while its local processes end: nothing is lost or left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from microscaling.utils.process import has_variable, snapshot
from tests.scheduler.processes import wait_for

WORKER = """
# At a job until a file says that it is done; it counts how often it was asked to end, and has a helper
# in a session of its own.
import os, pathlib, signal, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
asked = []
def ask(*_):
    asked.append(1)
    (folder / f"{os.getpid()}.asked").write_text(str(len(asked)))
signal.signal(signal.SIGTERM, ask)
subprocess.Popen(["sleep", "300"], start_new_session=True)
(folder / f"{os.getpid()}.up").touch()
while not (asked and (folder / "finish").exists()):
    time.sleep(0.02)
(folder / f"{os.getpid()}.done").touch()
"""


STOPPED = """
# An agent that is asked to stop before it has read its configuration.
import os, sys
from microscaling import __main__ as program
from microscaling.utils.flag import Flag
stopping = Flag()
stopping.set()
sys.exit(program.build(os.environ, stopping).run())
"""


class Stage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "worker.py").write_text(WORKER)
        config = {"command": f"{sys.executable} {folder}/worker.py {folder}", "stopGraceSeconds": 60}
        app = {"name": "a", "priority": 1, "minContainers": 2, "maxContainers": 2, "config": config}
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MSS_")},
            "MSS_SCHEDULER": "PROCESS",
            "MSS_CONFIG": "ENVVAR",
            "MSS_CONFIG_DATA": json.dumps({"maxContainers": 2, "apps": [app]}),
            "MSS_MONITOR": "none",
            "MSS_STATE_DIR": str(folder / "state"),
            "MSS_HEALTH_FILE": str(folder / "health"),
            "STAGE": str(folder),
        }

    def agent(self, *program: str, **more: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, *(program or ("-m", "microscaling"))]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(argv, env=self.environ | more, stderr=log, stdout=log)

    def there(self, what: str) -> list[str]:
        return sorted(path.stem for path in self.folder.glob(f"*.{what}"))

    def says(self, words: str, times: int = 1) -> None:
        wait_for(lambda: (self.folder / "log").read_text().count(words) >= times, 60.0)

    def running(self) -> list[int]:
        """All that came of it, the agent too."""
        return [row.pid for row in snapshot().values() if has_variable(row.pid, "STAGE", str(self.folder))]


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    for pid in stage.running():
        os.kill(pid, signal.SIGKILL)
    print((tmp_path / "log").read_text())


@pytest.mark.parametrize("end", ["stop", "leave"])
def test_killed_in_its_own_end_the_next_agent_goes_on(stage, end):
    first = stage.agent()
    wait_for(lambda: len(stage.there("up")) == 2, 60.0)
    first.send_signal(signal.SIGTERM)
    wait_for(lambda: len(stage.there("asked")) == 2, 60.0)
    wait_for(lambda: len(json.loads((stage.folder / "state/state.json").read_text())["asked"]) == 2)
    first.kill()
    first.wait()
    second = stage.agent(MSS_ON_EXIT=end)
    stage.says("adopted running processes: 2 of a")
    second.send_signal(signal.SIGTERM)
    stage.says("leaving all processes" if end == "leave" else "stopping all", 1 if end == "leave" else 2)
    if end == "stop":
        (stage.folder / "finish").touch()
    assert second.wait(60) == 0
    (stage.folder / "finish").touch()
    wait_for(lambda: len(stage.there("done")) == 2)
    counts = [(stage.folder / f"{pid}.asked").read_text() for pid in stage.there("asked")]
    assert counts == ["1", "1"], "a second SIGTERM would have killed the job of many a worker"
    if end == "stop":
        assert stage.running() == []
        return
    # What is left, a third agent finds, and ends.
    third = stage.agent()
    wait_for(lambda: len(stage.there("up")) == 4, 60.0)
    third.send_signal(signal.SIGTERM)
    assert third.wait(60) == 0
    assert stage.running() == []


@pytest.mark.parametrize("end", ["stop", "leave"])
def test_asked_to_stop_before_its_start_is_over_it_ends_what_a_killed_agent_has_left(stage, end):
    first = stage.agent()
    wait_for(lambda: len(stage.there("up")) == 2, 60.0)
    first.kill()
    first.wait()
    (stage.folder / "finish").touch()
    assert stage.agent("-c", STOPPED, MSS_ON_EXIT=end).wait(60) == 0
    assert len(stage.there("done")) == (2 if end == "stop" else 0)
    assert bool(stage.running()) is (end == "leave")


def test_a_second_agent_that_is_asked_to_stop_at_once_ends_nothing(stage):
    first = stage.agent()
    wait_for(lambda: len(stage.there("up")) == 2, 60.0)
    assert stage.agent("-c", STOPPED).wait(60) == 0
    assert stage.there("asked") == []
    (stage.folder / "finish").touch()
    first.terminate()
    assert first.wait(60) == 0


def test_the_end_of_the_agent_leaves_nothing_in_any_session(stage):
    agent = stage.agent()
    wait_for(lambda: len(stage.there("up")) == 2, 60.0)
    (stage.folder / "finish").touch()
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(60) == 0
    assert stage.there("done") == stage.there("up")
    assert stage.running() == []
