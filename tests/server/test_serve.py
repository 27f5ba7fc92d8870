"""The process: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from microscaling.server.http.yaml_file import as_yaml
from microscaling.server.limits import Bucket, Refusals
from tests.server.conftest import Start
from tests.server.running import BUSY, PLAN, ROOT, until


def run(*arguments: str, **environ: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": "", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


BAD = [
    (
        {"MSS_SERVER_ADDRESS": "0.0.0.0:0"},
        "MSS_SERVER_ADDRESS: 0.0.0.0 can be reached by others, and there is no token",
    ),
    ({"MSS_SERVER_ADDRESS": "[::]:0"}, "MSS_SERVER_ADDRESS: :: can be reached by others"),
    ({"MSS_SERVER_ADDRESS": "8000"}, 'MSS_SERVER_ADDRESS: expected host:port, got "8000"'),
    ({"MSS_SERVER_ADDRESS": "127.0.0.1:99999"}, "MSS_SERVER_ADDRESS: expected host:port"),
    (
        {"MSS_SERVER_ADDRESS": "192.0.2.1:0", "MSS_SERVER_OPEN": "true"},
        "MSS_SERVER_ADDRESS: cannot listen at",
    ),
    ({"MSS_SERVER_STORE": "/proc/no/such"}, "MSS_SERVER_STORE: /proc/no/such cannot be used"),
    ({"MSS_SERVER_TOKEN": "with a space"}, "MSS_SERVER_TOKEN: expected printable"),
]


@pytest.mark.parametrize(("environ", "said"), BAD)
def test_bad_settings_are_one_clear_line_and_code_2(
    tmp_path: Path,
    environ: dict[str, str],
    said: str,
) -> None:
    where = {"MSS_SERVER_STORE": str(tmp_path / "db"), "MSS_SERVER_ADDRESS": "127.0.0.1:0"}
    code, err = run("-m", "microscaling", "server", **{**where, **environ})
    assert code == 2
    assert err.startswith(f"microscaling: {said}")
    assert err.count("\n") == 1
    assert "with a space" not in err


def test_without_the_extra_one_clear_line() -> None:
    hide = "import sys; sys.modules['starlette'] = None; sys.argv = ['microscaling', 'server'];"
    code, err = run("-c", f"{hide} from microscaling.__main__ import main; sys.exit(main())")
    assert code == 2
    way_out = "pip install '.[server]' in the clone (starlette is missing)"
    assert err == f"microscaling: the server needs an extra: {way_out}\n"


@pytest.mark.parametrize("environ", [{"MSS_SERVER_TOKEN": "x" * 20}, {"MSS_SERVER_OPEN": "true"}], ids=str)
def test_elsewhere_with_a_token_or_if_told_so(start: Start, environ: dict[str, str]) -> None:
    server = start(address="0.0.0.0:0", **environ)
    assert server.ask("GET", "/healthz").text == "ok\n"


def test_short_token_is_said(start: Start) -> None:
    for token in ("abc", "short", "characters"):  # no word of the line is masked: that would give it away
        server = start(MSS_SERVER_TOKEN=token)
        assert server.warnings == ["MSS_SERVER_TOKEN: is shorter than 16 characters, which can be guessed"]
        assert "***" not in server.log
        server.stop()


def test_second_server_on_the_same_store(start: Start) -> None:
    server = start()
    with pytest.raises(AssertionError, match="is there a second server"):
        start()
    assert server.ask("GET", "/healthz").ok


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_in_time_whoever_is_connected(start: Start, number: int) -> None:
    server = start()
    with server.agent("a") as agent, server.page("a") as events, server.raw() as half, server.raw() as body:
        agent.report(a=(1, 1, 1))
        next(events)
        half.sendall(b"GET / HT")
        body.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                     b"Content-Type: application/x-www-form-urlencoded\r\n\r\n{")  # fmt: skip
        began = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - began < 15
    lines = [line.split(": ", 1)[1] for line in server.log.splitlines()]
    busy = (BUSY, "reports are read in time again")  # as may be any machine
    assert [line for line in lines if not line.startswith(busy)][1:] == ["stopping", "stopped"]
    with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", server.port)):
        pass


def test_saved_survives_kill_9(start: Start) -> None:
    server = start()
    server.configure("user", "manual")
    server.put("/api/users/user/demand", {"demand": {"p1": 5}})
    server.put("/api/users/user/paused", {"paused": True})
    server.stop(signal.SIGKILL)
    state = start().get("/api/users/user")
    assert (state["mode"], state["paused"], state["version"]) == ("manual", True, 1)
    assert [task["slider"] for task in state["tasks"]] == [5, 1]


def test_decisions_and_the_origin_of_settings_survive_a_restart(start: Start) -> None:
    server = start()
    server.configure("shop", "manual")
    with server.agent("shop") as agent:
        agent.report({"name": "web-1", "tasks": []}, p1=(1, 1, 0), p2=(1, 1, 0))
        until(lambda: server.get("/api/users/shop")["agents"]["connected"])
        for wanted in (3, 5):
            server.put("/api/users/shop/demand", {"demand": {"p1": wanted}})
        before = server.get("/api/users/shop/decisions")["decisions"]
        with server.agent("guest") as guest:  # has no settings
            guest.report({"engine": "LOCAL", "tasks": []}, p1=(1, 1, 0))
            guest.report({"engine": "LOCAL", "tasks": []}, p1=(1, 4, 0))
            until(lambda: server.get("/api/users/guest/decisions")["decisions"])
            until(lambda: server.get("/api/users/guest/history")["full"]["times"])
    assert [(d["name"], d["before"], d["after"]) for d in before] == [("web-1", 1, 3), ("web-1", 3, 5)]
    origins = server.get("/api/users/shop")["set"]
    assert {(what, origin["by"], origin["address"]) for what, origin in origins.items()} == {
        (what, "program", "127.0.0.1") for what in ("config", "mode", "demand")
    }
    assert server.stop() == 0
    server = start()
    after = server.get("/api/users/shop/decisions")["decisions"]
    assert after == [{**decision, "agent": None} for decision in before]
    assert server.get("/api/users/shop")["set"] == origins
    assert [d["after"] for d in server.get("/api/users/guest/decisions")["decisions"]] == [4]
    with server.agent("shop") as agent:
        agent.report(p1=(5, 5, 0), p2=(1, 1, 0))
        until(lambda: server.get("/api/users/shop")["agents"]["connected"])
        page = {"headers": {"Origin": server.url}}
        assert server.ask("PUT", "/api/users/shop/demand", {"demand": {"p1": 2}}, **page).status_code == 200
        *_, last = server.get("/api/users/shop/decisions")["decisions"]
        assert last["id"] > after[-1]["id"]
        assert last["reason"] == "set by hand, by the page at 127.0.0.1"
        assert server.get("/api/users/shop")["set"]["demand"]["by"] == "page"


def test_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    bucket = Bucket(2.0, 3.0, 0.0)
    assert [bucket.take(0.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    assert bucket.peek(10.0) == 0
    assert [bucket.allows(10.0) for _ in range(4)] == [True, True, True, False]


def test_refusals_are_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    refusals = Refusals(lambda: clock[0])
    for who, why in [("a", "x"), ("a", "x"), ("b", "x"), ("a", "y\n")]:
        refusals.refuse(who, why)
    assert caplog.messages == ["refused, from a: x", "refused, from b: x", "refused, from a: y\\n"]
    clock[0] = 301
    refusals.refuse("a", "x")
    assert len(caplog.messages) == 4
    assert refusals.count == 5


def test_yaml_reads_back() -> None:
    from microscaling.utils.yaml_text import parse

    odd: dict[str, Any] = {
        "yes": "no",
        "a: b": ["- x", "#", "", "é\u2028\x85\x7f\U0001f600\U000e0001", "\t"],
        "e": [],
        "f": {},
        "n": None,
    }
    data = {**PLAN, "x-odd": odd, "x-nested": [[1, [2]], {"a": [{"b": -1.5}]}], "": True}
    assert parse(as_yaml(data).encode()) == data
    assert as_yaml({}) == "{}\n"


def test_a_job_that_dies_ends_the_server(tmp_path: Path) -> None:
    die = (
        "import sys; from microscaling.server.storage.persistence import Persistence; "
        "Persistence._wander = lambda self: 1 / 0; sys.argv = ['microscaling', 'server']; "
        "from microscaling.__main__ import main; sys.exit(main())"
    )
    where = {"MSS_SERVER_STORE": str(tmp_path / "db"), "MSS_SERVER_ADDRESS": "127.0.0.1:0"}
    code, err = run("-c", die, **where)
    assert code == 1
    assert "has ended, so the server does: ZeroDivisionError" in err
    assert err.splitlines()[-1].endswith(": stopped")
