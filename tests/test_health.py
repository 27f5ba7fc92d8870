"""How the agent tells whoever supervises it that it is well, and `--health`, which asks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from microscaling.supervision import health
from microscaling.supervision.health import (
    HealthFile,
    Report,
    check,
    check_user,
    default_file,
    details,
    found_files,
)
from microscaling.supervision.heartbeat import RUNNING, STARTING, STOPPING, Heartbeat
from microscaling.supervision.systemd import SystemdNotifier
from microscaling.utils.process import start_time
from tests.fakes.server import FakeServer, wait_for
from tests.test_main import APPS, ROOT, TOY, run, start
from tests.test_startup import HEAVY

PID, STARTED = os.getpid(), start_time(os.getpid()) or ""
NOW = 1000.0
WELL = {
    "pid": PID,
    "started": STARTED,
    "state": "running",
    "says": "3 of 4 containers run",
    "written": NOW - 1,
}

REPORTS = [
    ("all loops come round", {"loops": {"beats": 999.5, "counting": 990.0}}, ""),
    ("it has just begun", {}, ""),
    ("a loop rests, as its engine is away", {"loops": {"counting": 1005.0}}, ""),
    (
        "a loop stands still",
        {"loops": {"beats": 999.5, "counting": 940.0}},
        "counting (for 60 s) stands still; 3 of 4 containers run",
    ),
    (
        "the whole process stands still",
        {"written": 900.0},
        f"process {PID} has written nothing for 100 s, and was: 3 of 4 containers run",
    ),
    (
        "the machine has been started anew",
        {"written": 5000.0},
        f"process {PID} has written nothing for 4000 s",
    ),
    ("the number is another process's now", {"started": "1"}, f"process {PID} has ended"),
    ("the process has gone", {"pid": 2**22 + 1}, f"process {2**22 + 1} has ended"),
]


@pytest.mark.parametrize(("why", "differs", "trouble"), REPORTS, ids=[why for why, _, _ in REPORTS])
def test_what_is_wrong(tmp_path: Path, why: str, differs: dict[str, object], trouble: str) -> None:
    path = tmp_path / "health.json"
    path.write_text(json.dumps({**WELL, **differs}))
    well, line = check(str(path), NOW)
    assert well == (trouble == "")
    assert line.startswith(trouble or "3 of 4 containers run")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"pid": 1}', json.dumps({**WELL, "written": "now"})]
)
def test_what_is_no_health_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "health.json"
    path.write_text(content)
    assert check(str(path), NOW) == (False, f"{path} is no health file of an agent")


def test_a_file_that_is_not_there_or_not_to_be_read(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    assert check(missing, NOW) == (False, f"no agent runs: there is no {missing}")
    assert check(str(tmp_path), NOW) == (False, f"{tmp_path} cannot be read: Is a directory")


def report() -> Report:
    return Report(PID, STARTED, "running", "fine", time.monotonic())


def test_written_whole_and_taken_away(tmp_path: Path) -> None:
    file = HealthFile(str(tmp_path / "health.json"))
    file.write(report())
    assert check(file.path, time.monotonic()) == (True, "fine")
    assert os.listdir(tmp_path) == ["health.json"]
    file.remove()
    file.remove()
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = HealthFile(str(tmp_path / "none" / "health.json"))
    file.write(report())
    file.write(report())
    assert caplog.text.count("MSS_HEALTH_FILE: cannot write") == 1


def test_no_link_of_somebody_else_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / f"health.json.{os.getpid()}").symlink_to(tmp_path / "precious")
    HealthFile(str(tmp_path / "health.json")).write(report())
    assert not (tmp_path / "precious").exists()
    assert "cannot write" in caplog.text


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first place that can be written to; found also by a process with another environment."""
    for name in ("run", "shm", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(health, "SHARED_MEMORY", str(tmp_path / "shm"))
    of_session = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "TMPDIR": str(tmp_path / "tmp")}
    of_service = {"XDG_RUNTIME_DIR": str(tmp_path / "none"), "TMPDIR": str(tmp_path / "tmp")}
    own = f"microscaling-{os.geteuid()}"
    assert os.path.dirname(default_file(of_session)) == str(tmp_path / "run" / own)
    shared = default_file(of_service)
    assert os.path.dirname(shared) == str(tmp_path / "shm" / own)
    assert Path(shared).parent.stat().st_mode & 0o777 == 0o700
    HealthFile(shared).write(report())
    assert shared in found_files(of_session)
    os.unlink(shared)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SHARED_MEMORY", str(tmp_path))
    monkeypatch.setattr(health, "TEMPORARY", str(tmp_path))
    theirs = tmp_path / f"microscaling-{os.geteuid()}"
    theirs.mkdir()
    environ = {"TMPDIR": str(tmp_path / "mine")}
    (tmp_path / "mine").mkdir()
    file = default_file(environ).replace(str(tmp_path / "mine"), str(tmp_path))
    assert file == default_file({})
    Path(file).write_text(json.dumps(asdict(report())))
    os.chown(theirs, 65534, 65534)
    assert os.path.dirname(default_file(environ)) == str(tmp_path / "mine" / theirs.name)
    assert found_files(environ) == []


@pytest.fixture
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment, and places for health files that nobody else uses."""
    for name in ("SHARED_MEMORY", "TEMPORARY"):
        monkeypatch.setattr(health, name, str(tmp_path / "shm"))
    (tmp_path / "shm").mkdir()
    (tmp_path / "run").mkdir()
    return {"XDG_RUNTIME_DIR": str(tmp_path / "run")}


def test_the_file_of_an_ended_process_goes_when_the_next_one_starts(own_places: dict[str, str]) -> None:
    now, mine = time.monotonic(), default_file(own_places)
    stale, foreign = (mine.replace(f"-{PID}.", f"-{other}.") for other in (2**22 + 1, 2**22 + 2))
    foreign = foreign.replace("health-", "health-1")  # of another container: its number means nothing here
    HealthFile(stale).write(Report(2**22 + 1, "1", "running", "fine", now))
    HealthFile(foreign).write(Report(PID, "1", "running", "fine", now))
    assert check_user(own_places, now) == (False, f"process {2**22 + 1} has ended, and was: fine")
    HealthFile(default_file(own_places)).write(report())
    assert found_files(own_places) == [mine]
    assert os.path.exists(foreign)
    assert check_user(own_places, time.monotonic()) == (True, "fine")


def test_the_living_decide(own_places: dict[str, str]) -> None:
    HealthFile(mine := default_file(own_places)).write(report())
    stale = mine.replace(f"-{PID}.", f"-{2**22 + 1}.")
    HealthFile(stale).write(Report(2**22 + 1, "1", "running", "quick", time.monotonic()))
    said = f"fine; process {2**22 + 1} has ended, and was: quick"
    assert check_user(own_places, time.monotonic()) == (True, said)


def test_without_an_agent(own_places: dict[str, str]) -> None:
    well, line = check_user(own_places, 0.0)
    assert not well
    assert line.startswith("no agent of this user runs here: there is no health-")


def test_a_folder_that_disappears_is_made_anew(own_places: dict[str, str]) -> None:
    """As logind removes it when the user logs out."""
    file = HealthFile(default_file(own_places), lambda: default_file(own_places))
    file.write(report())
    shutil.rmtree(own_places["XDG_RUNTIME_DIR"])
    file.write(report())
    assert check_user(own_places, time.monotonic()) == (True, "fine")
    assert file.path.startswith(health.SHARED_MEMORY)
    file.remove()
    assert found_files(own_places) == []


def test_one_file_for_two_agents_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(tmp_path / "health.json")
    parent = os.getppid()
    HealthFile(path).write(Report(parent, start_time(parent) or "", "running", "fine", time.monotonic()))
    file = HealthFile(path)
    assert "writes to" not in caplog.text
    file.write(report())
    file.write(report())
    said = f"MSS_HEALTH_FILE: process {parent} writes to {path} too: give each agent a file of its own"
    assert caplog.text.count(said) == 1
    HealthFile(path).write(Report(parent, start_time(parent) or "", "running", "fine", time.monotonic()))
    file.remove()
    assert os.path.exists(path), "it is the other one's"


# systemd, as sd_notify(3) has it: words in a datagram to a socket.


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd listens at, and its name in NOTIFY_SOCKET."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@mss-test-{PID}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address.replace("@", "\0"))
        sock.settimeout(60)
        yield sock, address


def heard(sock: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in sock.recv(4096).decode().splitlines())


def test_what_systemd_hears(systemd: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch) -> None:
    sock, address = systemd
    monkeypatch.setattr("microscaling.supervision.heartbeat.TELL_EVERY_S", 0.0)
    environ = {
        "NOTIFY_SOCKET": address,
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(PID),
        "OTHER": "stays",
    }
    heartbeat = Heartbeat(notifier=SystemdNotifier.of(environ))
    assert environ == {"OTHER": "stays"}, "it is for this process alone"
    now = time.monotonic()
    for state, says, loops, told in [
        (STARTING, "starting", {}, {"STATUS": "starting", "WATCHDOG": "1"}),
        (
            RUNNING,
            "3 run\nREADY=0",
            {"beats": now},
            {"READY": "1", "STATUS": "3 run\\nREADY=0", "WATCHDOG": "1"},
        ),
        (RUNNING, "3 run\nREADY=0", {"beats": now}, {"WATCHDOG": "1"}),
        (RUNNING, "stuck", {"beats": now, "counting": now - 60}, {"STATUS": "stuck"}),
        (STOPPING, "stopping", {}, {"STOPPING": "1", "STATUS": "stopping", "WATCHDOG": "1"}),
    ]:
        heartbeat.tell(state, lambda says=says: says, loops)  # type: ignore[misc]
        assert heard(sock) == told


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_who_wants_a_watchdog(environ: dict[str, str], watchdog_s: float | None) -> None:
    assert SystemdNotifier.of({"NOTIFY_SOCKET": "/run/notify", **environ}).watchdog_s == watchdog_s


def test_a_socket_that_is_gone_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    SystemdNotifier(str(tmp_path / "gone")).send(READY="1")
    SystemdNotifier.of({"NOTIFY_SOCKET": "vsock:2:1234"}).send(READY="1")
    assert "NOTIFY_SOCKET: expected a path" in caplog.text


# The process


def lines_of(sock: socket.socket, until: str) -> list[str]:
    lines: list[str] = []
    while until not in lines:
        lines += sock.recv(4096).decode().splitlines()
    return lines


def test_the_agent_tells_systemd(systemd: tuple[socket.socket, str], tmp_path: Path) -> None:
    sock, address = systemd
    process = start(
        **TOY, NOTIFY_SOCKET=address, WATCHDOG_USEC="3000000", MSS_HEALTH_FILE=str(tmp_path / "h")
    )
    try:
        told = lines_of(sock, "STATUS=4 of 4 containers run")
        assert "READY=1" in told
        lines_of(sock, "WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        lines_of(sock, "STOPPING=1")
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


OF_A = "  a: uses what is left, 4 of 4 run (1..4)"


def test_healthy_until_it_is_killed(tmp_path: Path) -> None:
    at = {"MSS_HEALTH_FILE": str(tmp_path / "health.json")}
    assert run("--health", **at) == (1, f"unhealthy: no agent runs: there is no {tmp_path}/health.json\n", "")
    process = start(**TOY, **at)
    try:
        wait_for(lambda: run("--health", **at) == (0, f"healthy: 4 of 4 containers run\n{OF_A}\n", ""))
        process.kill()
        process.wait()
        said = f"unhealthy: process {process.pid} has ended, and was: 4 of 4 containers run\n"
        assert run("--health", **at) == (1, said, "")
    finally:
        process.kill()
        process.communicate()


def said_first(answer: tuple[int, str, str]) -> tuple[int, str]:
    """Exit code and first line, which are for machines; a line for each task follows."""
    code, out, err = answer
    assert err == ""
    return code, out.splitlines()[0]


def test_each_task_with_its_reading(tmp_path: Path) -> None:
    """A queue that is short of containers by the cap, and one that cannot be measured."""
    database = tmp_path / "jobs.db"
    with contextlib.closing(sqlite3.connect(database)) as jobs:
        jobs.executescript("CREATE TABLE jobs (id); INSERT INTO jobs VALUES (1), (2), (3), (4), (5), (6);")

    def app(name: str, priority: int, query: str) -> dict[str, Any]:
        config = {"databaseURL": f"sqlite:///{database}", "query": query, "targetPerContainer": 1}
        kinds = {"ruleType": "PerContainer", "metricType": "SQL"}
        return {"name": name, "priority": priority, "maxContainers": 9, **kinds, "config": config}

    apps = [app("b", 2, "SELECT count(*) FROM gone"), app("a", 1, "SELECT count(*) FROM jobs")]
    data = json.dumps({"maxContainers": 4, "apps": apps})
    at = {"MSS_HEALTH_FILE": str(tmp_path / "health.json")}
    process = start(**TOY | {"MSS_CONFIG_DATA": data, "MSS_LOG_DEBUG": "mssmetric"}, **at)
    wants = "wants 2 more: the cap, 4, is used up"
    of_a = rf"  a: queue 6 at 1 for each, 4 of 4 run \(0\.\.9\); {wants}; read \d+\.\d s ago"
    of_b = r"  b: 0 of 0 run \(0\.\.9\); held: .*no such table: gone"
    try:
        wait_for(lambda: re.search(f"\n{of_a}\n{of_b}\n$", run("--health", **at)[1]), 60)
        assert said_first(run("--health", **at)) == (0, "healthy: 4 of 4 containers run; held: b")
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert "a: 6 from " in err, "MSS_LOG_DEBUG has the readings"


def test_a_file_of_another_version_is_read(tmp_path: Path) -> None:
    """An earlier one wrote no tasks; what a later one may add is ignored."""
    path = tmp_path / "health.json"
    path.write_text(json.dumps({**WELL, "later": [1]}))
    assert check(str(path), NOW) == (True, "3 of 4 containers run")
    assert details(str(path), NOW) == []
    path.write_text(json.dumps({**WELL, "tasks": [["a: fine", NOW - 0.25], ["b\n: held", None]]}))
    assert details(str(path), NOW) == ["  a: fine; read 0.2 s ago", "  b\\n: held"]


ASK_HERE = """
import sys
from microscaling.__main__ import main
from microscaling.supervision import health
health.SHARED_MEMORY = health.TEMPORARY = "/nonexistent"  # agents of other tests are there
sys.exit(main(["--health"]))
"""


def test_two_agents_of_one_user(tmp_path: Path) -> None:
    """Started at once, with the same environment; each is healthy by itself."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MSS_") and k != "TMPDIR"}
    environ = {**clean, "XDG_RUNTIME_DIR": str(tmp_path)}

    def asked() -> tuple[int, str]:
        ask = [sys.executable, "-c", ASK_HERE]
        done = subprocess.run(ask, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout

    first, second = processes = [start(**TOY, XDG_RUNTIME_DIR=str(tmp_path)) for _ in range(2)]
    lines = sorted(f"process {process.pid}: 4 of 4 containers run" for process in processes)
    said = "; ".join(["2 agents of this user run (to ask one, set MSS_HEALTH_FILE)", *lines])
    try:
        wait_for(lambda: asked() == (0, f"healthy: {said}\n{OF_A}\n{OF_A}\n"), 60)
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=60)
        wait_for(lambda: asked() == (0, f"healthy: 4 of 4 containers run\n{OF_A}\n"), 60)
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=60)
        code, out = asked()
        assert (code, out.startswith("unhealthy: no agent of this user runs here")) == (1, True)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


AWAY = [
    (
        {
            "MSS_SCHEDULER": "DOCKER",
            "DOCKER_HOST": "unix:///nonexistent.sock",
            "MSS_PULL_IMAGES": "false",
            "MSS_CONFIG_DATA": json.dumps(
                {"maxContainers": 4, "apps": [{**APPS["apps"][0], "config": {"image": "none"}}]}
            ),
        },
        "starting: waiting for the backend of the containers",
    ),
    ({"MSS_CONFIG": "SERVER", "MSS_API_ADDRESS": "127.0.0.1:9"}, "starting: waiting for the configuration"),
]


@pytest.mark.parametrize(("away", "said"), AWAY, ids=["engine", "server"])
def test_who_waits_for_others_is_healthy_and_says_so(tmp_path: Path, away: dict[str, str], said: str) -> None:
    """A restart would not help."""
    at = {"MSS_HEALTH_FILE": str(tmp_path / "health.json")}
    process = start(**{**TOY, **at, **away})
    try:
        wait_for(lambda: said_first(run("--health", **at)) == (0, f"healthy: {said}"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert not os.listdir(tmp_path)
    finally:
        process.kill()
        process.communicate()


def test_an_agent_that_cannot_write_goes_on() -> None:
    process = start(**TOY, MSS_HEALTH_FILE="/proc/none")
    try:
        assert process.stderr
        said = [next(process.stderr) for _ in range(4)]
        assert sum("MSS_HEALTH_FILE: cannot write /proc/none" in line for line in said) == 1
        assert any("a: 0 -> " in line for line in said)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_check_is_cheap() -> None:
    program = "import sys; from microscaling.__main__ import main; main(['--health']); print(*sys.modules)"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MSS_")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, check=True, capture_output=True, timeout=90
    )
    assert not {name.partition(".")[0] for name in done.stdout.decode().split()} & {*HEAVY, "http", "ssl"}


def test_of_the_server() -> None:
    with FakeServer() as server:  # it knows /apps, and nothing of /readyz
        said = f"unhealthy: the server at 0.0.0.0:{server.port} answers: no such page\n"
        assert run("server", "--health", MSS_SERVER_ADDRESS=f"0.0.0.0:{server.port}") == (1, said, "")
    code, out, _ = run("server", "--health", MSS_SERVER_ADDRESS=server.endpoint)
    assert (code, out) == (
        1,
        f"unhealthy: no answer from the server at {server.endpoint}: Connection refused\n",
    )
    code, out, _ = run("server", "--health", MSS_SERVER_ADDRESS="nonsense")
    assert (code, out.startswith("unhealthy: there is no microscaling server at nonsense")) == (1, True)


def test_of_a_server_that_is_well(tmp_path: Path) -> None:
    store = str(tmp_path / "server.db")
    process = start("server", MSS_SERVER_ADDRESS="127.0.0.1:0", MSS_SERVER_STORE=store)
    try:
        assert process.stderr
        line = next(line for line in process.stderr if "the server is at http://" in line)
        address = line.partition("http://")[2].strip().rstrip("/")
        said = (0, f"healthy: the server at {address} answers: ok\n", "")
        wait_for(lambda: run("server", "--health", MSS_SERVER_ADDRESS=address) == said)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
