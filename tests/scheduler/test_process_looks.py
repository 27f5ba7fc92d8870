"""Looks at real local processes, and the files, probes and hooks of their tasks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling.demand.drain import Activity, Busy, Call, Way
from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.process import looks
from microscaling.scheduler.process.backend import ProcessBackend
from tests.scheduler.processes import backends, wait_for

BUSY, IDLE = Activity.BUSY, Activity.IDLE


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[ProcessBackend]:
    with backends(str(tmp_path / "state")) as make:
        yield make()


def file_of(tmp_path: Path, file_s: float = 3600.0) -> Busy:
    return Busy(Way.FILE, str(tmp_path / "busy-{number}"), file_s)


def started(backend: ProcessBackend, busy: Busy, command: str = "sleep 300") -> tuple[Task, str]:
    task = Task("a", command=command)
    task.busy = busy
    id = backend.create(task, "n")
    backend.start(id)
    return task, id


def look(backend: ProcessBackend, task: Task, id: str) -> Activity:
    assert task.busy is not None
    return backend.look(task, task.busy, [id])[id]


@pytest.mark.parametrize(
    ("content", "activity"),
    [
        ("", BUSY),
        ("garbage\n", BUSY),
        ("-5", BUSY),
        ("32503680000", BUSY),
        (str(time.time() + 86_400), BUSY),  # it was collected long before it runs
        ("100", IDLE),
        ("1" * 200, BUSY),
        ("é", BUSY),
    ],
    ids=["empty", "garbage", "negative", "year 3000", "tomorrow", "long ago", "too long", "not ASCII"],
)
def test_a_busy_file(backend: ProcessBackend, tmp_path: Path, content: str, activity: Activity) -> None:
    task, id = started(backend, file_of(tmp_path))
    assert look(backend, task, id) is IDLE
    (tmp_path / "busy-1").write_text(content, "utf-8")
    assert look(backend, task, id) is activity
    (tmp_path / "busy-1").unlink()
    assert look(backend, task, id) is IDLE


def test_a_busy_file_that_is_too_old_a_link_or_a_folder(backend: ProcessBackend, tmp_path: Path) -> None:
    task, id = started(backend, file_of(tmp_path, file_s=60))
    file = tmp_path / "busy-1"
    file.touch()
    os.utime(file, (0, time.time() - 50))
    assert look(backend, task, id) is BUSY
    os.utime(file, (0, time.time() - 70))
    assert look(backend, task, id) is IDLE
    file.unlink()
    file.symlink_to("working-on-7")
    assert look(backend, task, id) is BUSY
    file.unlink()
    file.symlink_to("100")
    assert look(backend, task, id) is IDLE
    file.unlink()
    file.mkdir()
    assert look(backend, task, id) is BUSY


def test_each_process_has_its_own_and_gets_its_path(backend: ProcessBackend, tmp_path: Path) -> None:
    busy = file_of(tmp_path)
    (tmp_path / "busy-1").touch()  # of a worker that is dead
    lines = 'test -e "$MSS_BUSY_FILE" && touch "$MSS_BUSY_FILE-was-there"; touch "$MSS_BUSY_FILE"'
    command = f"sh -c '{lines}; sleep 300'"
    task, first = started(backend, busy, command)
    _, second = started(backend, busy, command)
    wait_for(lambda: (tmp_path / "busy-1").exists() and (tmp_path / "busy-2").exists())
    assert not list(tmp_path.glob("*was-there")), "removed before the start"
    (tmp_path / "busy-1").unlink()
    assert backend.look(task, busy, [first, second]) == {first: IDLE, second: BUSY}


def test_a_file_that_cannot_be_looked_at_is_unknown(backend: ProcessBackend, tmp_path: Path) -> None:
    (tmp_path / "no-folder").touch()
    task, id = started(backend, Busy(Way.FILE, str(tmp_path / "no-folder" / "busy-{number}")))
    with pytest.raises(TemporaryError, match="no-folder/busy-1: Not a directory"):
        look(backend, task, id)


@pytest.mark.parametrize(("code", "activity"), [(0, IDLE), (1, BUSY)])
def test_a_probe_runs_with_the_number_and_pid_of_the_process(
    backend: ProcessBackend, tmp_path: Path, code: int, activity: Activity
) -> None:
    words = ("sh", "-c", f'echo "$MSS_WORKER_NUMBER $MSS_WORKER_PID $OWN" >{tmp_path}/probe; exit {code}')
    task, id = started(backend, Busy(Way.EXEC, call=Call(words)))
    task.env = ["OWN=x"]
    assert look(backend, task, id) is activity
    [seen] = backend.list()
    assert (tmp_path / "probe").read_text() == f"1 {seen.name.removeprefix('process ')} x\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("sh", "-c", "exit 7"), "the command sh has ended with code 7, and not with 0 or 1"),
        (("/no/such/program",), "cannot run the command /no/such/program: No such file or directory"),
        (("sleep", "60"), "the command sleep takes longer than 0.2 s"),
    ],
)
def test_a_probe_that_fails_is_unknown(
    backend: ProcessBackend, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], error: str
) -> None:
    if words[0] == "sleep":
        monkeypatch.setattr(looks, "EXEC_S", 0.2)
    task, id = started(backend, Busy(Way.EXEC, call=Call(words)))
    with pytest.raises((TemporaryError, PermanentError), match=error):
        look(backend, task, id)


def test_the_processor(backend: ProcessBackend) -> None:
    spin = f"{sys.executable} -c 'while True: pass'"
    task, id = started(backend, Busy(Way.CPU, share=0.05), spin)
    wait_for(lambda: look(backend, task, id) is BUSY)
    task, id = started(backend, Busy(Way.CPU, share=0.05))
    wait_for(lambda: look(backend, task, id) is IDLE)


def test_signals_and_hooks(backend: ProcessBackend, tmp_path: Path) -> None:
    lines = f'trap "echo usr1 >>{tmp_path}/log" USR1; echo up >{tmp_path}/log'
    trap = f"sh -c '{lines}; while :; do sleep 0.05; done'"
    task, id = started(backend, Busy(Way.CPU, share=1), trap)
    log = tmp_path / "log"
    wait_for(lambda: log.exists() and log.read_text() == "up\n")
    backend.signal(id, "USR1")
    wait_for(lambda: log.read_text() == "up\nusr1\n")
    backend.call(task, id, Call(("sh", "-c", f"echo hook >>{log}")))
    assert log.read_text() == "up\nusr1\nhook\n"
    with pytest.raises(PermanentError, match="the command false has ended with code 1"):
        backend.call(task, id, Call(("false",)))
    backend.signal(id, "TERM")
    wait_for(lambda: all(seen.state is State.EXITED for seen in backend.list()))
    backend.signal(id, "USR1")
    backend.signal("no-such-id", "USR1")
    assert backend.look(task, file_of(tmp_path), [id, "no-such-id"]) == {}
