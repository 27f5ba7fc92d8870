"""Nothing secret gets out: every secret here has a word in it that must be found nowhere."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling import factory, log
from microscaling.settings import Settings
from tests.fakes.server import FakeServer, wait_for
from tests.leaks import of_each_process
from tests.metric.faulty import Server
from tests.server.running import PLAN, Running
from tests.services.service import free_port

pytest.importorskip("redis", reason="redis is not here: pip install '.[redis]'")

ROOT = Path(__file__).parents[1]
WORD = re.compile(".{0,60}(?:canary|Y2FuYXJ5).{0,40}")
"""As it is, and in base64 where it comes after a user of two letters and a colon."""
PATIENCE_S = 60
ENVIRON = {
    "API_KEY": "canary-of-a-header",
    "REDIS_PASSWORD": "canary/of@redis",
    "HTTP_PROXY": "http://me:canary-of-a-proxy@127.0.0.1:1",
    "MSS_MARATHON_TOKEN": "canary-of-marathon",
    "AZURE_STORAGE_ACCOUNT_KEY": "canary-of-azure",
    "AWS_SECRET_ACCESS_KEY": "canary-of-aws",
}
SAYS_ITS_SECRETS = "sh -c 'echo $DB_PASSWORD $MSS_API_TOKEN $API_KEY; sleep 1; echo $DB_PASSWORD >&2; exit 3'"
NOT_YET = re.compile("no answer yet|not measured yet")
USED = [f"canary-of-a-{what}" for what in ("bearer", "header", "query", "cookie")]


def apps(echo: Server, redis: str, closed: str) -> dict[str, Any]:
    """A task for every way to fail of what needs a secret."""
    sources: dict[str, dict[str, Any]] = {
        "echoed": {
            "url": f"http://{echo.endpoint}/echo?token=canary-of-a-query",
            "headers": {"Authorization": "Bearer canary-of-a-bearer", "X-Api-Key": "${API_KEY}"},
            "path": "said",
        },
        "login": {"url": f"http://me:canary-of-a-url@{echo.endpoint}/", "path": "said"},
        "begun": {"url": f"http://{echo.endpoint}/?key=canary-that-is-cut-off-somewhere", "path": "begin"},
        "refused": {"url": f"http://me:canary-of-a-url@{closed}/?api_key=canary-of-a-query"},
        "no-tls": {"url": f"https://me:canary-of-a-url@{echo.endpoint}/"},
        "status": {"url": f"http://{echo.endpoint}/500", "headers": {"Cookie": "a=canary-of-a-cookie"}},
        "no-http": {"url": f"http://{echo.endpoint}/raw?sig=canary-of-a-query"},
        "redis": {"url": f"redis://:${{REDIS_PASSWORD}}@{redis}/0", "key": "jobs"},
        "no-redis": {"url": f"redis://:${{REDIS_PASSWORD}}@{closed}/0", "key": "jobs"},
        "sql": {"databaseURL": "sqlite:////no/such.db?password=canary-of-sql", "query": "SELECT 1"},
        "nsq": {"topicName": "t", "channelName": "c"},
    }
    kinds = {"redis": "Redis", "no-redis": "Redis", "sql": "SQL", "nsq": "NSQ"}
    measured = [
        {
            "name": name,
            "maxContainers": 2,
            "ruleType": "Queue",
            "metricType": kinds.get(name, "HTTP"),
            "config": {**config, "command": "sleep 300", "targetQueueLength": 5},
        }
        for name, config in sources.items()
    ]
    talker = {
        "name": "talker",
        "minContainers": 1,
        "maxContainers": 1,
        "config": {"command": SAYS_ITS_SECRETS, "env": {"DB_PASSWORD": "canary-of-a-task"}},
    }
    sleeper = {"name": "sleeper", "minContainers": 1, "maxContainers": 1, "config": {"command": "sleep 300"}}
    return {"maxContainers": 10, "apps": [*measured, talker, sleeper]}


def echoes(server: Server, sock: socket.socket) -> bool:
    """Says back what it was asked, in many forms."""
    head = server.heads[-1].decode()
    said = json.dumps({"said": head[head.find("Authorization") :], "begin": head})
    status = "500 Because" if "/500" in head else "200 OK"
    whole = f"HTTP/1.1 {status}\r\nContent-Length: {len(said)}\r\n\r\n{said}"
    sock.sendall((head if "/raw" in head else whole).encode())
    return "/raw" not in head


@contextlib.contextmanager
def telling_redis() -> Iterator[str]:
    """A Redis that says back every password that it is given."""
    threads: list[threading.Thread] = []

    def serve(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(PATIENCE_S)
            while said := sock.recv(65536):
                sock.sendall(b"-WRONGPASS of " + repr(said).encode() + b"\r\n")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for thread in threads:
        thread.join()


def clean() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("MSS_")}


def command_lines(pid: int) -> dict[int, bytes]:
    """Of a process and of all that descend from it."""
    parents = {}
    for stat in of_each_process("stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    lines = {}
    for member in family:
        with contextlib.suppress(OSError):
            lines[member] = Path(f"/proc/{member}/cmdline").read_bytes()
    return lines


def held_of(message: dict[str, Any]) -> dict[str, str]:
    return {task["app"]: task["held"] for task in message.get("detail", {}).get("tasks", [])}


@contextlib.contextmanager
def agent(folder: Path, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs until the end of the block, then is asked to stop; what it says is in two files."""
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "microscaling"], cwd=ROOT, env=clean() | environ, stdout=out, stderr=err
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def leaks(told: dict[str, str]) -> dict[str, list[str]]:
    """By place, what was found of secrets."""
    found = {where: WORD.findall(text)[:3] for where, text in told.items()}
    return {where: places for where, places in found.items() if places}


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize("scheduler", ["TOY", "PROCESS"])
def test_nothing_secret_leaves_an_agent_whose_sources_fail(scheduler: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("canary-of-the-server\n")
    told: dict[str, str] = {}
    with FakeServer() as server, Server(echoes) as echo, telling_redis() as redis:
        server.headers = [(b"Microscaling-Detail", b"1")]
        closed = f"127.0.0.1:{free_port()}"
        described = apps(echo, redis, closed)
        environ = ENVIRON | {
            "MSS_SCHEDULER": scheduler,
            "MSS_CONFIG": "ENVVAR",
            "MSS_CONFIG_DATA": json.dumps(described),
            "MSS_API_ADDRESS": server.endpoint,
            "MSS_API_TOKEN_FILE": str(tmp_path / "token"),
            "MSS_STATE_DIR": str(tmp_path / "state"),
            "MSS_HEALTH_FILE": str(tmp_path / "health"),
            "MSS_LOG_DEBUG": "all,detail",
            "MSS_LOG_FORMAT": form,
            "NSQ_STATS_ENDPOINT": f"me:canary-of-nsq@{closed}",
        }
        with agent(tmp_path, **environ) as process:
            names = {app["name"] for app in described["apps"] if "metricType" in app}
            held = wait_for(lambda: _all_held(server, names), PATIENCE_S)
            wait_for(lambda: _last_words(tmp_path / "stderr", scheduler), PATIENCE_S)
            lines = wait_for(lambda: _command_lines(process.pid, scheduler), PATIENCE_S)
            for path in (tmp_path / "health", *(tmp_path / "state").glob("*.json")):
                told[path.name] = path.read_text()
        (link,) = server.links
    # It had them all, and used them ...
    assert link.headers["authorization"] == "Bearer canary-of-the-server"
    heads = b"".join(echo.heads)
    assert [secret for secret in USED if secret.encode() not in heads] == []
    assert all("***" in held[name] for name in ("echoed", "login", "begun", "redis"))
    # ... and told nobody.
    told |= {name: (tmp_path / name).read_text() for name in ("stdout", "stderr")}
    told |= {f"command line of {pid}": line.decode() for pid, line in lines.items()}
    told |= {"frames": json.dumps(link.messages)}
    assert leaks(told) == {}
    assert process.returncode == 0
    if form == "json":
        assert all(json.loads(line)["level"] for line in told["stderr"].splitlines())


def _all_held(server: FakeServer, names: set[str]) -> dict[str, str]:
    messages = [message for link in list(server.links) for message in list(link.messages)]
    for message in reversed(messages):
        held = held_of(message)
        if all(held.get(name) and not NOT_YET.search(held[name]) for name in names):
            return held
    return {}


def _command_lines(pid: int, scheduler: str) -> dict[int, bytes]:
    """All of them, once there is a process of a task."""
    lines = command_lines(pid)
    return lines if scheduler == "TOY" or any(b"300" in line for line in lines.values()) else {}


def _last_words(path: Path, scheduler: str) -> str:
    """What has been logged, once the last lines of a container are in it."""
    text = path.read_text()
    return text if scheduler == "TOY" or "*** ***" in text else ""


# Errors of the configuration

APP = {"ruleType": "Queue", "maxContainers": 1, "name": "a"}
BAD: dict[str, dict[str, Any]] = {
    "a port": {"metricType": "HTTP", "config": {"url": "http://me:canary-of-a-url@host:99999/"}},
    "a slash": {"metricType": "HTTP", "config": {"url": "http://me:canary/of-a-url@host/"}},
    "a header": {"metricType": "HTTP", "config": {"url": "http://h", "headers": {"A": "canary\n"}}},
    "a Redis": {"metricType": "Redis", "config": {"url": "http://:canary-of@h", "key": "k"}},
    "an option of Redis": {
        "metricType": "Redis",
        "config": {"url": "redis://:canary-of@h?socket_timeout=canary", "key": "k"},
    },
    "a database": {
        "metricType": "SQL",
        "config": {"databaseURL": "postgres://me:canary-of@h/db?sslmod=canary-of-more", "query": "SELECT 1"},
    },
    "a database that is no file": {
        "metricType": "SQL",
        "config": {"databaseURL": "sqlite://me:canary-of@h/db", "query": "SELECT 1"},
    },
    "an entry of env": {"config": {"env": ["=canary-of-a-task"]}},
    "a value of env": {"config": {"env": {"PASSWORD": ["canary-of-a-task"]}}},
}
BAD_TEXT = {
    "JSON": ("json", '{"apps": [{"config": {"url": "redis://:canary-of@h", "key": canary-of-more'),
    "an alias in YAML": ("yaml", "apps:\n- config: {headers: {X-Key: *canary-of-a-header}}\n"),
    "a tag in YAML": ("yaml", "apps:\n- config: {headers: {X-Key: !canary-of-a-header x}}\n"),
}
BAD_SETTINGS = {
    "a token": {"MSS_API_TOKEN": "canary of the server"},
    "a token in a file": {"MSS_API_TOKEN_FILE": "canary of the server"},
    "one in the wrong place": {"API_KEY": "canary-of-a-header", "MSS_SCHEDULER": "canary-of-a-header"},
    "an address": {"MSS_API_ADDRESS": "me:canary-of-the-server@host:x"},
    "Marathon": {"MSS_SCHEDULER": "MARATHON", "MSS_MARATHON_API": "http://me:canary-of-marathon@host:x"},
    "Azure": {
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=canary-of-azure",
        "MSS_CONFIG_DATA": json.dumps({"maxContainers": 1, "apps": [
            {**APP, "metricType": "AzureQueue", "config": {"queueName": "q"}}]}),
    },
}  # fmt: skip
GOOD = json.dumps({"maxContainers": 1, "apps": [{"name": "a", "maxContainers": 1}]})


def bad_environ(kind: str, folder: Path) -> dict[str, str]:
    if kind in BAD:
        data = {"maxContainers": 1, "apps": [{**APP, **BAD[kind]}]}
        return {"MSS_CONFIG_DATA": json.dumps(data)}
    if kind in BAD_TEXT:
        ending, text = BAD_TEXT[kind]
        (folder / f"tasks.{ending}").write_text(text)
        return {"MSS_CONFIG": "FILE", "MSS_CONFIG_FILE": str(folder / f"tasks.{ending}")}
    environ = dict(BAD_SETTINGS[kind])
    if "MSS_API_TOKEN_FILE" in environ:
        (folder / "token").write_text(environ["MSS_API_TOKEN_FILE"])
        environ["MSS_API_TOKEN_FILE"] = str(folder / "token")
    return environ


@pytest.mark.parametrize("kind", [*BAD, *BAD_TEXT, *BAD_SETTINGS])
def test_no_error_of_the_configuration_shows_a_secret(kind: str, tmp_path: Path) -> None:
    good = {"MSS_SCHEDULER": "TOY", "MSS_CONFIG": "ENVVAR", "MSS_CONFIG_DATA": GOOD, "MSS_LOG_DEBUG": "all"}
    environ = {**clean(), **good, **bad_environ(kind, tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "microscaling"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("microscaling: ")
    assert leaks({"stdout": done.stdout, "stderr": done.stderr}) == {}


def test_what_a_configuration_holds_is_masked_from_then_on() -> None:
    source = {"url": "http://me:canary-of-a-url@h", "headers": {"X-Api-Key": "canary-of-a-header"}}
    config = {"image": "i", **source, "env": {"DB_PASSWORD": "canary-of-a-task"}}
    data = json.dumps({"apps": [{**APP, "metricType": "HTTP", "config": config}]})
    root = logging.getLogger()
    handlers = root.handlers[:]
    log.setup(Settings(), io.StringIO(), {})
    try:
        factory.make_tasks(Settings(config="ENVVAR", config_data=data), {})
        told = log.masked("canary-of-a-url, canary-of-a-header, canary-of-a-task")
    finally:
        root.handlers[:] = handlers
    assert told == "***, ***, ***"


# Crashes

CRASHES = {
    "of the start": """
from microscaling import factory
from microscaling.__main__ import main

def boom(*_):
    try:
        raise ValueError(secret)
    except ValueError as error:
        raise RuntimeError("and " + secret) from error

factory.make_engine = boom
sys.exit(main([]))
""",
    "of a thread": """
from microscaling import log
log.guard_crashes()
def boom(): raise ValueError(secret)
thread = threading.Thread(target=boom); thread.start(); thread.join()
sys.exit(1)
""",
    "that nobody catches": "from microscaling import log; log.guard_crashes(); raise ValueError(secret)",
    "of what is thrown away": """
from microscaling import log
class Odd:
    def __del__(self): raise ValueError(secret)
log.guard_crashes()
Odd()
sys.exit(1)
""",
    "of the log": """
import logging
from microscaling import log
log.guard_crashes()
logging.getLogger("mssagent").error("%d", secret)
sys.exit(1)
""",
}


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize("crash", CRASHES)
def test_no_crash_shows_a_secret(crash: str, form: str) -> None:
    setting = {
        "MSS_SCHEDULER": "TOY",
        "MSS_CONFIG": "ENVVAR",
        "MSS_CONFIG_DATA": GOOD,
        "MSS_LOG_FORMAT": form,
    }
    program = "import os, sys, threading; secret = os.environ['MSS_API_TOKEN']\n" + CRASHES[crash]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**clean(), **setting, "MSS_LOG_FORMAT": form, "MSS_API_TOKEN": "canary-of-the-server"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert leaks({"stdout": done.stdout, "stderr": done.stderr}) == {}
    assert "cannot be logged" if crash == "of the log" else "ValueError: ***" in done.stderr


# The server


def test_nothing_secret_leaves_the_server_but_to_those_who_may_have_the_configuration(tmp_path: Path) -> None:
    plan = json.loads(json.dumps(PLAN))
    plan["apps"][0]["metricType"] = "HTTP"
    plan["apps"][0]["config"] = {"url": "http://me:canary-of-a-url@h/?token=canary-of-a-query",
                                 "headers": {"X-Key": "canary-of-a-header"}}  # fmt: skip
    token = "canary-of-the-server"
    server = Running(tmp_path, MSS_SERVER_TOKEN=token, MSS_LOG_DEBUG="all", MSS_USER_ID="me")
    try:
        server.configure("me", "manual", plan)
        plan["apps"][0]["config"]["url"] = "http://me:canary-of-a-url@h:99999/"
        bad = server.ask("PUT", "/api/users/me/config", {"version": 2, "config": plan}).text
        assert "expected a URL" in bad
        server.ask(
            "GET", f"/api/users?token={token}", headers={"Authorization": "Bearer canary-that-is-wrong"}
        )
        with server.agent("me") as agent:
            agent.report(p1=(1, 1, 5), p2=(1, 1, 0))
            public = ["", "/decisions", "/history?since=0"]
            told = [bad, *(server.ask("GET", f"/api/users/me{path}").text for path in public)]
            told += [server.ask("GET", path).text for path in ("/", "/api/users", "/api/status", "/healthz")]
            with server.page("me") as events:
                told += [json.dumps(next(events)) for _ in range(3)]
        shown = server.ask("GET", "/apps/me")
        assert "canary-of-a-header" in shown.text
        assert shown.headers["Cache-Control"] == "no-store"
    finally:
        server.stop()
    assert leaks({str(place): text for place, text in enumerate([*told, server.log])}) == {}
