"""Looks at containers of a real engine, and the signals, probes and hooks of their tasks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest
from docker import APIClient

from microscaling.demand.container import ContainerOptions, Mount
from microscaling.demand.drain import Activity, Busy, Call, Way
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.containers.backend import BackendUnavailable
from microscaling.scheduler.docker import looks
from microscaling.scheduler.docker.backend import DockerBackend
from tests.integration import engines
from tests.integration.agents import wait_for

pytestmark = pytest.mark.usefixtures("patient")
BUSY, IDLE = Activity.BUSY, Activity.IDLE
FILE = Busy(Way.FILE, "/jobs/busy")
SERVE = (
    "mkdir -p /www/cgi-bin; printf '#!/bin/sh\\n"
    'echo "Status: $(cat /status)"; echo; cat >>/hooks\\n'
    "' >/www/cgi-bin/busy; chmod +x /www/cgi-bin/busy; httpd -f -p 8080 -h /www & "
)
WAIT = "trap 'exit 0' TERM; trap 'echo usr1 >>/heard' USR1; while :; do sleep 0.05; done"


@pytest.fixture
def backend(engine: APIClient) -> Iterator[DockerBackend]:
    with contextlib.closing(DockerBackend(engines.host_of_the_machine(), pull_images=False)) as made:
        yield made


@pytest.fixture
def run(engine: APIClient, backend: DockerBackend, prefix: str) -> Callable[..., tuple[Task, str]]:
    def run(busy: Busy, before: str = "", **more: object) -> tuple[Task, str]:
        task = Task(f"{prefix}looks", image=engines.BUSYBOX, max_containers=4, network_mode="none")
        task.container = ContainerOptions(command=("sh", "-c", f"mkdir /jobs; {before}{WAIT}"))
        task.busy = busy
        for name, value in more.items():
            setattr(task, name, value)
        id = backend.create(task, "n")
        backend.start(id)
        if "container" not in more:
            wait_for(lambda: in_it(engine, id, "test ! -e /jobs || echo there"))
        return task, id

    return run


def in_it(engine: APIClient, id: str, line: str) -> str:
    made = engine.exec_create(id, ["sh", "-c", line])["Id"]
    output = engine.exec_start(made).decode()
    assert engines.exit_code_of(engine, made) == 0, output
    return output


def look(backend: DockerBackend, task: Task, id: str) -> Activity:
    assert task.busy is not None
    return backend.look(task, task.busy, [id])[id]


def test_a_busy_file(engine: APIClient, backend: DockerBackend, run: Callable[..., tuple[Task, str]]) -> None:
    task, id = run(FILE)
    assert look(backend, task, id) is IDLE
    later = int(time.time() + 600)
    for line, activity in (
        ("touch busy", BUSY),
        ("echo garbage >busy", BUSY),
        ("echo -5 >busy", BUSY),
        ("echo 32503680000 >busy", BUSY),
        (f"echo {later} >busy", BUSY),
        ("echo 100 >busy", IDLE),
        ("seq 100 >busy", BUSY),
        ("rm busy", IDLE),
        ("ln -s working-on-7 busy", BUSY),
        (f"ln -sf {later} busy", BUSY),
        ("ln -sf 100 busy", IDLE),
        ("rm busy; mkdir busy", BUSY),
        ("rmdir busy; touch -d @1000000000 busy", IDLE),
    ):
        in_it(engine, id, f"cd /jobs; {line}")
        assert look(backend, task, id) is activity, line


def test_a_busy_file_counts_for_some_time_after_its_change(
    engine: APIClient, backend: DockerBackend, run: Callable[..., tuple[Task, str]]
) -> None:
    task, id = run(FILE)
    for ago_s, activity in ((3000, BUSY), (3700, IDLE)):
        in_it(engine, id, f"touch -d @{int(time.time()) - ago_s} /jobs/busy")
        assert look(backend, task, id) is activity


def test_the_file_of_an_earlier_life_counts_for_nothing(
    engine: APIClient, backend: DockerBackend, run: Callable[..., tuple[Task, str]]
) -> None:
    task, id = run(FILE)
    in_it(engine, id, "touch /jobs/busy")
    engine.kill(id)
    engine.wait(id)
    assert backend.look(task, FILE, [id]) == {id: Activity.UNKNOWN}, "it does not run"
    engine.start(id)
    assert look(backend, task, id) is IDLE
    in_it(engine, id, "touch /jobs/busy")
    assert look(backend, task, id) is BUSY


def test_a_busy_file_on_a_volume_and_in_a_paused_container(
    engine: APIClient, backend: DockerBackend, run: Callable[..., tuple[Task, str]]
) -> None:
    options = ContainerOptions(
        command=("sh", "-c", f"touch /jobs/busy; {WAIT}"), mounts=(Mount("volume", "", "/jobs"),)
    )
    task, id = run(FILE, container=options)
    deadline = time.monotonic() + 60
    while look(backend, task, id) is IDLE:
        assert time.monotonic() < deadline
    engine.pause(id)
    assert look(backend, task, id) is BUSY
    engine.unpause(id)


def test_a_container_that_is_not_there(backend: DockerBackend, prefix: str) -> None:
    with pytest.raises(BackendUnavailable, match="No such container"):
        backend.look(Task(f"{prefix}a"), FILE, ["0" * 64])
    backend.signal("0" * 64, "USR1")


def test_a_probe_in_the_container(
    engine: APIClient,
    backend: DockerBackend,
    run: Callable[..., tuple[Task, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, id = run(Busy(Way.EXEC, call=Call(("sh", "-c", "exit $(cat /jobs/code)"))))
    for code, activity in ((0, IDLE), (1, BUSY)):
        in_it(engine, id, f"echo {code} >/jobs/code")
        assert look(backend, task, id) is activity
    in_it(engine, id, "echo 7 >/jobs/code")
    with pytest.raises(TemporaryError, match="the command sh has ended with code 7, and not with 0 or 1"):
        look(backend, task, id)
    monkeypatch.setattr(looks, "EXEC_S", 0.3)
    hangs = Busy(Way.EXEC, call=Call(("sh", "-c", "echo >>/jobs/runs; sleep 60")))
    for _ in range(3):
        with pytest.raises(TemporaryError, match="takes longer than 0"):
            backend.look(task, hangs, [id])
    wait_for(lambda: in_it(engine, id, "test ! -e /jobs/runs || echo there"))
    runs = engines.output_of(engine, id, "sh", "-c", "wc -l </jobs/runs")
    assert runs.strip() == "1", "only one hangs at a time"


def test_requests_to_the_address_of_the_container(
    engine: APIClient, backend: DockerBackend, run: Callable[..., tuple[Task, str]]
) -> None:
    call = Call(port=8080, path="/cgi-bin/busy")
    task, id = run(Busy(Way.HTTP, call=call), f"echo 200 >/status; {SERVE}", network_mode="bridge")
    deadline = time.monotonic() + 60
    while True:
        try:
            assert look(backend, task, id) is IDLE
            break
        except (TemporaryError, PermanentError):
            assert time.monotonic() < deadline
    for status, activity in ((204, IDLE), (503, BUSY), (409, BUSY)):
        in_it(engine, id, f"echo {status} >/status")
        assert look(backend, task, id) is activity
    in_it(engine, id, "echo 500 >/status")
    with pytest.raises(BackendUnavailable, match="is answered with HTTP 500, and not with 2xx, 409 or 503"):
        look(backend, task, id)
    with pytest.raises(PermanentError, match="is answered with HTTP 500"):
        backend.call(task, id, call)
    in_it(engine, id, "echo 200 >/status")
    backend.call(task, id, call)
    with pytest.raises(TemporaryError, match=r"8081 of [0-9.]+ is not answered: Connection refused$"):
        backend.look(task, Busy(Way.HTTP, call=Call(port=8081)), [id])


def test_without_an_address_of_its_own_no_request_is_made(
    backend: DockerBackend, run: Callable[..., tuple[Task, str]]
) -> None:
    task, id = run(Busy(Way.HTTP, call=Call(port=8080)), network_mode="host")
    with pytest.raises(BackendUnavailable, match=r"has no address of its own \(network host\)"):
        look(backend, task, id)


def test_the_processor(backend: DockerBackend, run: Callable[..., tuple[Task, str]]) -> None:
    busy = Busy(Way.CPU, share=0.02)  # of a machine that may be busy with other tests
    task, spins = run(busy, container=ContainerOptions(command=("sh", "-c", "while :; do :; done")))
    _, rests = run(busy, container=ContainerOptions(command=("sleep", "300")))
    deadline = time.monotonic() + 60
    while backend.look(task, busy, [spins, rests]) != {spins: BUSY, rests: IDLE}:
        assert time.monotonic() < deadline


def test_signals_and_hooks_in_the_container(
    engine: APIClient, backend: DockerBackend, run: Callable[..., tuple[Task, str]]
) -> None:
    task, id = run(FILE)
    deadline = time.monotonic() + 60
    while "usr1" not in in_it(engine, id, "cat /heard 2>/dev/null || true"):
        backend.signal(id, "USR1")
        assert time.monotonic() < deadline
    backend.call(task, id, Call(("touch", "/hooked")))
    in_it(engine, id, "test -e /hooked")
    with pytest.raises(PermanentError, match="the command false has ended with code 1"):
        backend.call(task, id, Call(("false",)))
