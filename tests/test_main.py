"""The command line, as users and process managers meet it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest

from microscaling import __version__
from microscaling.control.client import ask
from microscaling.control.place import found_sockets
from microscaling.supervision.signals import ONE_REQUEST_S

ROOT = Path(__file__).parents[1]
APPS: dict[str, Any] = {
    "maxContainers": 4,
    "apps": [{"name": "a", "priority": 1, "minContainers": 1, "maxContainers": 4}],
}
TOY = {
    "MSS_SCHEDULER": "TOY",
    "MSS_CONFIG": "ENVVAR",
    "MSS_CONFIG_DATA": json.dumps(APPS),
    "MSS_MONITOR": "none",
}


def start(*arguments: str, python: str = sys.executable, **environ: str) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MSS_")}
    return subprocess.Popen(
        [python, "-m", "microscaling", *arguments],
        cwd=ROOT,
        env={**clean, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    process = start(*arguments, **environ)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def socket_of(pid: int, environ: Mapping[str, str]) -> str:
    """The control socket of an agent, once it answers there; until then empty."""
    for path in found_sockets(environ):
        with contextlib.suppress(ProcessLookupError):  # its file is there before anybody listens
            if path.endswith(f"-{pid}.sock") and ask(path, "GET /status"):
                return path
    return ""


def _until_it_answers(agent: subprocess.Popen[bytes], environ: Mapping[str, str]) -> None:
    deadline = time.monotonic() + 60
    while not socket_of(agent.pid, environ):
        assert agent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_version() -> None:
    assert run("--version") == (0, f"microscaling {__version__}\n", "")


@pytest.mark.parametrize("arguments", [("schema",), ("check",)])
def test_a_reader_that_has_seen_enough(arguments: tuple[str, ...]) -> None:
    """As `| head -1`: no traceback."""
    reads, writes = os.pipe()
    os.close(reads)  # before it begins to write
    try:
        done = subprocess.run(
            [sys.executable, "-m", "microscaling", *arguments],
            cwd=ROOT,
            env={**os.environ, **TOY},
            stdout=writes,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    [("schema",), ("check",), ("--health",), ("status",), ("simulate", "apps.json", "--load", "step")],
)
def test_output_that_cannot_be_written(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """As into a file on a full disk: a line, and no traceback."""
    config = {"topicName": "jobs", "channelName": "all", "targetPerContainer": 5}
    queue = {"ruleType": "PerContainer", "metricType": "NSQ", "config": config}
    (tmp_path / "apps.json").write_text(json.dumps({**APPS, "apps": [{**APPS["apps"][0], **queue}]}))
    environ = {**os.environ, **TOY, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path)}
    agent = subprocess.Popen([sys.executable, "-m", "microscaling"], env=environ, stderr=subprocess.PIPE)
    try:
        _until_it_answers(agent, environ)  # before that, `status` has nothing to write
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "microscaling", *arguments],
                cwd=tmp_path,
                env=environ,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
            )
    finally:
        agent.terminate()
        agent.communicate(timeout=60)
    said = "microscaling: standard output: cannot be written: No space left on device"
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (1, [said])
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_standard_streams_that_are_closed(closed: str, tmp_path: Path) -> None:
    """The first files, sockets among them, do not get their numbers."""
    environ = {**os.environ, **TOY, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path)}

    def shell(arguments: str) -> subprocess.Popen[bytes]:
        line = f"exec {sys.executable} -m microscaling {arguments} {closed}"
        return subprocess.Popen(["sh", "-c", line], env=environ)

    assert shell("check").wait(60) == 0
    agent = shell("")
    try:
        # By any of its folders: the path below this one may be too long for a socket.
        _until_it_answers(agent, environ)
        for number in range(3):
            if f"{number}>&-" in closed or f"{number}<&-" in closed:
                assert os.readlink(f"/proc/{agent.pid}/fd/{number}") == os.devnull
    finally:
        agent.terminate()
        code = agent.wait(60)
    assert code == 0


OLDEST = "3.10"
"""As setup.cfg has it. With TOY the agent needs nothing but the standard library."""


def oldest_python() -> str:
    """Where there is one that runs; empty: there is none."""
    found = [shutil.which(f"python{OLDEST}"), *Path.home().glob(f".pyenv/versions/{OLDEST}.*/bin/python")]
    runs = (str(path) for path in found if path and not subprocess.call([path, "-c", ""], stderr=DEVNULL))
    return next(runs, "")


def test_it_runs_with_the_oldest_python() -> None:
    python = oldest_python()
    if not python:
        pytest.skip(f"no Python {OLDEST} here")
    process = start(python=python, **TOY)
    assert process.stderr
    said = [next(process.stderr) for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0, said


BAD = [
    ({"MSS_SCHEDULER": "NOMAD"}, "MSS_SCHEDULER=NOMAD is not available"),
    ({"MSS_CONFIG_DATA": ""}, "MSS_CONFIG_DATA: "),
    ({"MSS_CONFIG": "FILE", "MSS_CONFIG_FILE": "/no/such.json"}, "/no/such.json: cannot be read"),
    ({"MSS_EXIT_TIMEOUT_S": "soon"}, "MSS_EXIT_TIMEOUT_S: expected a number of seconds"),
    (
        {"MSS_CONFIG_DATA": '{"apps": [{"name": "a"}, {"name": "b", "maxContainers": "ten"}]}'},
        'apps[1].maxContainers: expected a whole number, got "ten"',
    ),
]


@pytest.mark.parametrize(("environ", "said"), BAD)
def test_bad_settings_are_one_clear_line_and_code_2(environ: dict[str, str], said: str) -> None:
    code, out, err = run(**{**TOY, **environ})
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("microscaling: ")
    assert said in err
    assert "Traceback" not in err


CAPS = [
    ((), {}, 4),
    ((), {"MSS_MAX_CONTAINERS": "3"}, 3),
    (("run", "--max", "2"), {"MSS_MAX_CONTAINERS": "3"}, 2),
]


@pytest.mark.parametrize(("arguments", "environ", "cap"), CAPS, ids=["configuration", "variable", "option"])
def test_the_first_that_says_it_is_the_cap(
    arguments: tuple[str, ...], environ: dict[str, str], cap: int
) -> None:
    process = start(*arguments, **TOY, **environ)
    assert process.stderr
    said = next(process.stderr)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert f"1 task shares {cap} containers" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_with_code_0(number: signal.Signals) -> None:
    process = start(**TOY)
    assert process.stderr
    next(line for line in process.stderr if "a: 0 -> " in line)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.splitlines()[-1].endswith("stopped")


IGNORES_SIGTERM = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(60)
"""


AT_WORK = {"busyProbe": {"exec": ["sh", "-c", "exit 1"]}, "drain": {"seconds": 50}}


@pytest.mark.parametrize("waits_for", [{"stopGraceSeconds": 50}, AT_WORK], ids=["its grace", "its drain"])
def test_a_second_signal_ends_it_at_once(waits_for: dict[str, Any], tmp_path: Path) -> None:
    """The first waits for a process that ignores SIGTERM for as long as its grace lasts, or its job."""
    script, pid = tmp_path / "deaf.py", tmp_path / "pid"
    script.write_text(IGNORES_SIGTERM)
    config = {"command": f"{sys.executable} {script} {pid}", **waits_for}
    data = json.dumps({"maxContainers": 1, "apps": [{**APPS["apps"][0], "config": config}]})
    environ = {"MSS_SCHEDULER": "PROCESS", "MSS_CONFIG_DATA": data, "MSS_STATE_DIR": str(tmp_path / "state")}
    environ["MSS_EXIT_TIMEOUT_S"] = "120"
    process = start(**{**TOY, **environ})
    try:
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.stderr
        next(line for line in process.stderr if "stopping all" in line)
        time.sleep(2 * ONE_REQUEST_S)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "ended at once by a second signal; what runs stays" in said
    finally:
        process.kill()
        process.communicate()
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_json_logs() -> None:
    process = start(**TOY, MSS_LOG_FORMAT="json")
    assert process.stderr
    lines = (json.loads(line) for line in process.stderr)
    decision = next(line for line in lines if line["component"] == "mssengine")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert decision["level"] == "INFO"
    assert decision["message"].startswith("a: 0 -> ")
