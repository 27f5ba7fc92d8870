"""The address of the metrics, and the thread that answers there."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest

from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.engine.local import LocalEngine
from microscaling.errors import ConfigError
from microscaling.settings import Settings
from microscaling.telemetry.server import MetricsServer, metrics_server
from microscaling.utils import listener
from microscaling.utils.values import address_of
from tests.services.service import ask, free_port, wait_for
from tests.test_main import TOY, run, start


@pytest.fixture
def tasks() -> Tasks:
    return Tasks([Task('a"\n\\\ud800é', max_containers=3)], 5)


@pytest.fixture
def server(tasks: Tasks) -> Iterator[MetricsServer]:
    made = metrics_server(Settings(metrics_address=f"127.0.0.1:{free_port()}"), tasks, LocalEngine())
    made.start()
    yield made
    made.stop()
    made.join(10)
    assert made.over


def url(server: MetricsServer) -> str:
    return "http://{}:{}".format(*server.listen().getsockname())


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9464", ("127.0.0.1", 9464)),
        (" 127.0.0.1:9464 ", ("127.0.0.1", 9464)),
        ("localhost:9464", ("localhost", 9464)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:9464", ("::1", 9464)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert address_of(text) == address


BAD = [
    "localhost",
    ":9464",
    "127.0.0.1:",
    "127.0.0.1:port",
    "127.0.0.1:65536",
    "http://127.0.0.1:9464/metrics",
]
EXPECTED = "expected host:port, such as 127.0.0.1:9464, or a port alone for this machine only"


@pytest.mark.parametrize("text", BAD)
def test_a_bad_address_is_one_clear_line(text: str) -> None:
    code, out, err = run(**TOY, MSS_METRICS_ADDRESS=text)
    assert (code, out) == (2, "")
    assert err == f'microscaling: MSS_METRICS_ADDRESS: {EXPECTED}, got "{text}"\n'


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = run(**TOY, MSS_METRICS_ADDRESS=address)
    assert code == 2
    assert err.splitlines()[-1] == (
        f"microscaling: MSS_METRICS_ADDRESS: {address} cannot be listened at (Address already in use): "
        "choose another port"
    )


def test_an_address_of_another_machine() -> None:
    for host in ("192.0.2.1", "no.such.host.invalid"):
        code, _, err = run(**TOY, MSS_METRICS_ADDRESS=f"{host}:9464")
        assert (code, err.splitlines()[-1].count(f"MSS_METRICS_ADDRESS: {host}")) == (2, 1)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, tasks: Tasks) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("prometheus_client", "microscaling.telemetry.fam"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match=r"needs prometheus-client: pip install '\.\[metrics\]'"):
        metrics_server(Settings(metrics_address="127.0.0.1:0"), tasks, LocalEngine())


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_others_may_read_only_if_told_and_it_is_said(host: str, warns: bool) -> None:
    process = start(**TOY, MSS_METRICS_ADDRESS=f"{host}:{free_port()}")
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "a: 0 -> " in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert any(f"metrics at http://{host}:" in line for line in lines)
    assert any("others than this machine can read the metrics" in line for line in lines) is warns


def test_hostile_names_are_escaped(server: MetricsServer) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = ask(f"{url(server)}/metrics").decode()
    names = {
        s.labels["task"]
        for f in text_string_to_metric_families(text)
        for s in f.samples
        if "task" in s.labels
    }
    assert names == {'a"\n\\\ufffdé'}


OTHER = [
    ("GET /", "200 OK"),
    ("HEAD /metrics", "200 OK"),
    ("GET /other", "404 Not Found"),
    ("GET http://[", "404 Not Found"),
    ("POST /metrics", "405 Method Not Allowed"),
    ("\x00", "405 Method Not Allowed"),
]


@pytest.mark.parametrize(("request_line", "status"), OTHER)
def test_other_requests(server: MetricsServer, request_line: str, status: str) -> None:
    with socket.create_connection(server.listen().getsockname()) as sock:
        sock.sendall(f"{request_line} HTTP/1.1\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: sock.recv(4096), b"")).partition(b"\r\n\r\n")
    assert head.splitlines()[0].decode() == f"HTTP/1.1 {status}"
    assert bool(body) is not request_line.startswith("HEAD")


def test_a_client_that_drips_does_not_block_the_others(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "PATIENCE_S", 0.5)
    with socket.create_connection(server.listen().getsockname()) as slow:
        ended = time.monotonic() + 20
        slow.sendall(b"GET /metrics HTTP/1.1\r\n")

        def drips() -> bool:
            try:
                slow.sendall(b"x")
            except OSError:
                return True
            assert time.monotonic() < ended, "it is given up in time"
            return False

        wait_for(drips)
        # Of one that asks at once even a busy machine has the request by then.
        monkeypatch.setattr(listener, "PATIENCE_S", 30.0)
        assert b"microscaling_cap_containers 5.0" in ask(f"{url(server)}/metrics")


def test_a_fault_in_it_is_said_once_and_ends_nothing(
    server: MetricsServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.collector, "about", None)
    for _ in range(2):
        with pytest.raises(HTTPError, match="500"):
            ask(f"{url(server)}/metrics")
    assert caplog.text.count("the metrics cannot be written") == 1
    assert server.is_alive()


def test_no_lock_is_held_while_they_are_written(
    server: MetricsServer, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def look() -> None:
        found.append(tasks.lock.acquire(blocking=False))
        if found[-1]:
            tasks.lock.release()

    def look_elsewhere() -> Iterator[object]:
        # In another thread, as the lock knows its owner.
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return iter(())

    monkeypatch.setattr(server.collector.process, "collect", look_elsewhere)
    ask(f"{url(server)}/metrics")
    assert found == [True]
