"""What `microscaling check` says of all that is around the tasks: the engine itself, its clock and its
ports, the agent's own addresses; and what it shows on a terminal meanwhile."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from microscaling.demand.container import ContainerOptions, Port
from microscaling.demand.task import Task
from microscaling.scheduler.compose import examine as compose_examine
from microscaling.scheduler.docker import examine
from microscaling.scheduler.docker.body import LABEL
from microscaling.settings import Settings
from microscaling.telemetry import server as metrics
from tests.services.service import free_port
from tests.test_engine_choice import AS_SOMEBODY_ELSE, NOBODY, needs_root
from tests.test_main import ROOT, TOY, run

APPS = {"maxContainers": 2, "apps": [{"name": "a", "maxContainers": 2, "ruleType": "Remainder"}]}
PROGRAM = ["-m", "microscaling", "check"]


def check(**environ: str) -> tuple[int, list[str]]:
    code, out, err = run("check", **{**TOY, **environ})
    assert err == ""
    return code, [line for line in out.splitlines() if not line.startswith("ok ")]


REFUSED = [
    (
        {"MSS_NOTIFY_URL": "https://example.com/hook", "MSS_NOTIFY_EVENTS": "helt"},
        'error    MSS_NOTIFY_EVENTS: there is no event "helt"; did you mean held? there are all, ',
    ),
    (
        {"MSS_NOTIFY_URL": "example.com/hook"},
        "error    MSS_NOTIFY_URL: expected addresses such as https://host/path, with spaces between",
    ),
    (
        {"MSS_NOTIFY_URL": "https://example.com/hook", "MSS_NOTIFY_TEMPLATE": "$tsk"},
        "error    MSS_NOTIFY_TEMPLATE: there is no field $tsk: there are $agent, ",
    ),
    ({"MSS_RELOAD": "watch"}, "error    MSS_RELOAD: watch is for MSS_CONFIG=FILE: with "),
    (
        {"MSS_METRICS_ADDRESS": "192.0.2.1:9464"},
        "error    MSS_METRICS_ADDRESS: 192.0.2.1:9464 cannot be listened at (",
    ),
]


@pytest.mark.parametrize(("environ", "said"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_a_start_would_refuse_is_an_error_of_the_same_code(environ: dict[str, str], said: str) -> None:
    code, lines = check(**environ)
    assert (code, len(lines)) == (2, 1), lines
    assert lines[0].startswith(said), lines
    ended, _, err = run(**{**TOY, **environ})
    assert ended == 2
    assert err.splitlines()[-1].removeprefix("microscaling: ") == lines[0].removeprefix("error").strip()


def test_a_port_of_the_metrics_that_is_taken() -> None:
    """Perhaps by the agent itself, which may run beside the check."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, lines = check(MSS_METRICS_ADDRESS=address)
    assert code == 0
    assert lines == [
        f"warning  MSS_METRICS_ADDRESS: {address} cannot be listened at (Address already in use): choose "
        "another port, unless it is this agent that runs already"
    ]
    assert check(MSS_METRICS_ADDRESS=address) == (0, []), "and it is free again"


def test_an_agent_that_starts_beside_the_look_has_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    address = ("127.0.0.1", free_port())
    real, began = socket.socket.close, []

    def close(taken: socket.socket) -> None:
        """An agent takes the port right before the check lets go of it."""
        if not began:
            began.append(socket.create_server(address))
        real(taken)

    monkeypatch.setattr(socket.socket, "close", close)
    found = metrics.examine(Settings(metrics_address=f"127.0.0.1:{address[1]}"))
    monkeypatch.undo()
    began[0].close()
    assert found.text == f"MSS_METRICS_ADDRESS: 127.0.0.1:{address[1]} is free"


def test_a_server_that_is_away_is_waited_for_only_a_while() -> None:
    """An agent would wait for it, so it is no mistake that a start refuses."""
    code, out, err = run(
        "check", MSS_CONFIG="SERVER", MSS_API_ADDRESS="127.0.0.1:1", MSS_SCHEDULER="TOY", MSS_MONITOR="none"
    )
    assert (code, err) == (1, "")
    assert out.splitlines()[-1] == (
        "error    MSS_CONFIG=SERVER: the configuration did not come within 10 s from the server; an agent "
        "would wait for it"
    )


@needs_root
def test_a_socket_without_permission_is_what_a_start_would_refuse() -> None:
    path = f"/tmp/mss-test-check-{os.getpid()}.sock"  # in a folder that all users can reach
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(path)
        os.chmod(path, 0o600)
        environ = {
            "MSS_SCHEDULER": "DOCKER", "MSS_MONITOR": "none", "MSS_CONFIG_DATA": json.dumps(APPS),
            "DOCKER_HOST": f"unix://{path}", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        command = [sys.executable, "-c", AS_SOMEBODY_ELSE, str(NOBODY), "check"]
        try:
            ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)
        finally:
            os.unlink(path)
    assert (ended.returncode, ended.stderr) == (2, ""), ended
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("error")]
    assert "permission denied while trying to connect to the Docker daemon socket" in line
    assert line.endswith("mode 600): run the agent as root")


class Engine:
    """The answers of an engine whose clock goes wrong by so many seconds."""

    api_version = "1.43"

    def __init__(self, skew_s: float) -> None:
        self.skew = timedelta(seconds=skew_s)

    def version(self) -> dict[str, str]:
        return {"Version": "24"}

    def info(self) -> dict[str, str]:
        return {"SystemTime": f"{datetime.now(timezone.utc) + self.skew:%Y-%m-%dT%H:%M:%S}.123456789Z"}


@pytest.mark.parametrize(
    ("skew_s", "said"),
    [(0, ""), (-3600, "3600 s behind"), (120, "120 s ahead of"), (-3601.5, "360")],
)
def test_clocks_that_differ(skew_s: float, said: str) -> None:
    first, *rest = examine._of_engine(Engine(skew_s), "unix:///e.sock")  # type: ignore[arg-type]
    assert first.text == "Docker engine unix:///e.sock: version 24, API 1.43"
    assert [finding.level for finding in rest] == ["warning"] * bool(said)
    if rest and skew_s == int(skew_s):
        seconds, _, where = said.partition(" s ")
        assert f" s {where} this one: set both by NTP" in rest[0].text
        assert abs(int(rest[0].text.split(" its clock is ")[1].split()[0]) - int(seconds)) <= 2


def test_an_engine_that_takes_its_time_has_no_other_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy one may take longer for the answer than the clocks may differ."""
    now = time.time()
    monkeypatch.setattr(examine, "time", SimpleNamespace(time=iter((now - 20, now + 20)).__next__))
    (only,) = examine._of_engine(Engine(0), "unix:///e.sock")  # type: ignore[arg-type]
    assert only.level == "ok"


class Gone:
    """An engine whose containers have all gone since they were listed."""

    def inspect_container(self, id: str) -> object:
        raise NotFound("No such container")


def test_a_container_that_goes_meanwhile_is_no_failure_of_its_engine() -> None:
    """An agent may run beside the check."""
    assert compose_examine._has_init(Gone(), "a")  # type: ignore[arg-type]


class Empty:
    """An engine without any image; its registry has `mailer` alone."""

    timeout = 10

    def inspect_image(self, image: str) -> object:
        raise ImageNotFound("no such image")

    def inspect_distribution(self, image: str) -> dict[str, str]:
        assert self.timeout > 10, "a registry may be far away"
        if image != "mailer:1":
            raise APIError("manifest unknown")
        return {}


@pytest.mark.parametrize(
    ("image", "pulls", "said"),
    [
        ("mailer:1", True, 'warning: "mailer:1" is not on the engine yet: it is pulled at the start, before '
         "the first container"),
        ("mailer:1", False, 'error: "mailer:1" is not on the engine, and MSS_PULL_IMAGES is false: docker '
         "pull mailer:1, or build it"),
        ("other:1", True, 'error: "other:1" is not on the engine, and cannot be pulled: manifest unknown'),
    ],
)  # fmt: skip
def test_images_that_are_not_there(image: str, pulls: bool, said: str) -> None:
    engine = Empty()
    (found,) = examine._image(engine, Task("a", image=image), pulls)  # type: ignore[arg-type]
    assert f"{found.level}: {found.text.removeprefix('a: config.image: ')}" == said
    assert engine.timeout == 10


def task(name: str, *ports: Port, most: int = 1) -> Task:
    return Task(name, max_containers=most, container=ContainerOptions(ports=ports))


def listed(name: str, public: int, ip: str, task: str = "", kind: str = "tcp") -> dict[str, Any]:
    labels = {LABEL: task} if task else {}
    port = {"PublicPort": public, "Type": kind, "IP": ip}
    return {"Names": [f"/{name}"], "Labels": labels, "Ports": [port, {"PrivatePort": 80, "Type": "tcp"}]}


def port(host: str, ip: str = "", kind: str = "tcp") -> Port:
    return Port(80, kind, ip, host)


PLACE = "b: config.ports: the host's port 8080 is"
OF_A = f"{PLACE} that of a, too: change one"
OF_WEB = f"{PLACE} taken by container web: change it, or stop that"
OF_OTHER = f"{PLACE} taken by other: change it, or stop that"
PORTS = [
    ([task("a", port("8080")), task("b", port("8080"))], [], OF_A),
    ([task("a", port("8080", "127.0.0.1")), task("b", port("8080"))], [], OF_A),
    ([task("a", port("8080", "127.0.0.1")), task("b", port("8080", "127.0.0.2"))], [], ""),
    ([task("a", port("8080", "127.0.0.1")), task("b", port("8080", "::1"))], [], ""),
    (
        [task("a", port("8080", "127.0.0.1")), task("b", port("8080", "0.0.0.0"))],
        [],
        OF_A,
    ),
    ([task("a", port("8080", kind="udp")), task("b", port("8080"))], [], ""),
    ([task("a", port("8080"), most=0), task("b", port("8080"))], [], ""),
    ([task("a", port("8080-8090")), task("b", port("8080"))], [], ""),
    (
        [task("b", port("8080"))],
        [listed("web", 8080, "0.0.0.0")],
        OF_WEB,
    ),
    ([task("b", port("8080"))], [listed("x", 8080, "::", "other")], OF_OTHER),
    ([task("b", port("8080"))], [listed("x", 8080, "0.0.0.0", "b")], ""),
    ([task("b", port("8080", "127.0.0.2"))], [listed("web", 8080, "127.0.0.1")], ""),
    ([task("b", port("8080"))], [listed("web", 8080, "127.0.0.1", kind="udp")], ""),
    ([task("b", port("8080", "10.0.0.1"))], [listed("web", 8080, "*")], OF_WEB),
]  # fmt: skip


@pytest.mark.parametrize(("tasks", "containers", "said"), PORTS)
def test_ports_that_collide(tasks: list[Task], containers: list[dict[str, Any]], said: str) -> None:
    assert [finding.text for finding in examine._ports(tasks, containers)] == ([said] if said else [])


def on_terminal(environ: dict[str, str]) -> str:
    """All that it writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *PROGRAM], env=environ, stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while more := os.read(ours, 4096):
            said += more
    except OSError:  # its end
        pass
    finally:
        os.close(ours)
    process.wait(60)
    return said.decode()


def test_a_terminal_shows_what_is_waited_for() -> None:
    data = json.dumps(
        {"maxContainers": 2, "apps": [{"name": "a", "maxContainers": 2, "ruleType": "SimpleQueue",
         "metricType": "SQL", "config": {"databaseURL": "sqlite:////none.db", "query": "SELECT 1",
                                         "targetQueueLength": 2}}]}
    )  # fmt: skip
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "xterm",
               "MSS_CONFIG_DATA": data, "MSS_SCHEDULER": "TOY", "MSS_MONITOR": "none"}  # fmt: skip
    said = on_terminal(environ)
    for doing in ("reading the configuration ...", "asking sqlite:////none.db (1 of 1 sources) ..."):
        assert f"\r\x1b[K{doing}" in said
        assert said.index(doing) < said.rindex("\r\x1b[K"), "and it does not stay"
    lines = [line.rpartition("\x1b[K")[2].rstrip("\r") for line in said.split("\n")]
    assert lines[0].endswith("TOY scheduler, ENVVAR configuration: 1 task shares 2 containers")
    assert not [line for line in lines if line.endswith("...")]
    dumb = on_terminal(environ | {"TERM": "dumb"})
    assert "\x1b" not in dumb
    assert "asking" not in dumb
