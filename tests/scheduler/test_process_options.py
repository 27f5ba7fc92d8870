"""The number, the folder, the user and the output of local processes."""

from __future__ import annotations

import contextlib
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.demand.container import ContainerOptions
from microscaling.demand.task import Task
from microscaling.demand.tasks import Tasks
from microscaling.errors import PermanentError
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.process import account
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.scheduler.process.command import impossible
from microscaling.scheduler.process.unit import NUMBER
from microscaling.utils.process import has_proc
from tests.scheduler.processes import backends, pid_of, run, wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as another user")
needs_proc = pytest.mark.skipif(not has_proc(), reason="there is no /proc here")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    with backends(str(tmp_path / "state")) as maker:
        yield maker


def numbers(backend: ProcessBackend) -> list[int]:
    return [seen.number for seen in backend.list()]


def in_environment(backend: ProcessBackend, id: str) -> str:
    environ = Path(f"/proc/{pid_of(backend, id)}/environ")
    # Empty until the kernel has laid out the new program.
    found = wait_for(environ.read_bytes).split(b"\0")
    return next(e.decode().partition("=")[2] for e in found if e.startswith(f"{NUMBER}=".encode()))


@needs_proc
def test_each_gets_the_lowest_number_that_is_free(make: Any) -> None:
    backend = make()
    ids = [run(backend, nonce=f"n{i}") for i in range(3)]
    assert [in_environment(backend, id) for id in ids] == ["1", "2", "3"]
    backend.stop(ids[1], 60.0)
    backend.remove(ids[1])
    assert in_environment(backend, run(backend, nonce="again")) == "2"
    other = run(backend, Task("other", command="sleep 300"), "o")
    assert in_environment(backend, other) == "1"


@needs_proc
def test_one_that_is_only_created_has_no_number_yet(make: Any) -> None:
    """Those that run have numbers without a gap, however many wait for a place."""
    backend = make()
    waiting = backend.create(Task("sleeper", command="sleep 300"), "waiting")
    assert in_environment(backend, run(backend)) == "1"
    backend.start(waiting)
    assert in_environment(backend, waiting) == "2"


def test_a_start_that_fails_gives_its_number_back(make: Any, tmp_path: Path) -> None:
    backend = make()
    program = tmp_path / "program"
    program.write_text("no program\n")
    program.chmod(0o755)
    bad = backend.create(Task("sleeper", command=str(program)), "bad")
    with pytest.raises(PermanentError, match="cannot run"):
        backend.start(bad)
    run(backend)
    assert sorted(numbers(backend)) == [0, 1]


@needs_proc
def test_adopted_ones_keep_theirs(make: Any) -> None:
    first = make()
    ids = [run(first, nonce=f"n{i}") for i in range(3)]
    first.stop(ids[0], 60.0)
    first.remove(ids[0])
    first.close()
    second = make()
    assert sorted(numbers(second)) == [2, 3]
    assert in_environment(second, run(second, nonce="new")) == "1"


WORKER = """
import os, pathlib, signal, sys, time
# Writes when it has begun and ended; goes on after SIGTERM until it is killed.
file = pathlib.Path(sys.argv[1]) / f"{os.getpid()}"
signal.signal(signal.SIGTERM, lambda *_: (file.with_suffix(".asked")).touch())
file.with_suffix(".up").write_text(os.environ["MSS_WORKER_NUMBER"])
time.sleep(300)
"""


@needs_proc
def test_numbers_go_from_1_to_the_maximum_and_are_unique_among_those_that_run(tmp_path: Path) -> None:
    """A worker that takes long to end keeps its number, and its place under the maximum of its task."""
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "up").mkdir()
    command = f"{sys.executable} {tmp_path}/worker.py {tmp_path}/up"
    task = Task("a", command=command, demand=2, max_containers=2)
    task.container = ContainerOptions(stop_grace_s=2.0)
    tasks = Tasks([task], 10)
    scheduler = ContainerScheduler(ProcessBackend(str(tmp_path / "state")))

    def running() -> list[str]:
        """The numbers of all that run."""
        found = []
        for file in (tmp_path / "up").glob("*.up"):
            if Path(f"/proc/{file.stem}").exists() and (number := file.read_text()):
                found.append(number)
        return sorted(found)

    def until(what: Any) -> None:
        def look() -> bool:
            assert running() in ([], ["1"], ["2"], ["1", "2"])
            scheduler.count_all_tasks(tasks)
            return bool(what())

        wait_for(look, 60.0)

    try:
        scheduler.count_all_tasks(tasks)
        task.demand = 2
        scheduler.stop_start_tasks(tasks)
        until(lambda: running() == ["1", "2"])
        for _ in range(2):
            before = len(list((tmp_path / "up").glob("*.up")))
            with tasks:
                task.demand = 1
            scheduler.stop_start_tasks(tasks)
            until(lambda: task.stopping == 1)
            with tasks:
                task.demand = 2
            scheduler.stop_start_tasks(tasks)
            until(lambda before=before: len(list((tmp_path / "up").glob("*.up"))) > before)
            until(lambda: running() == ["1", "2"])
    finally:
        task.container = ContainerOptions(stop_grace_s=0.0)
        scheduler.drain(tasks)
        wait_for(lambda: (scheduler.count_all_tasks(tasks), scheduler.idle(tasks))[1], 60.0)
        scheduler.cleanup()


def output_of(backend: ProcessBackend, command: str, file: Path, **options: Any) -> str:
    task = Task("a", command=command, container=ContainerOptions(output=str(file), **options))
    id = run(backend, task)
    wait_for(lambda: backend.list() and backend._processes[id].over)
    return file.read_text()


def test_directory(make: Any, tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    program = tmp_path / "job" / "program"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    folder = str(tmp_path / "job")
    assert output_of(make(), "./program", tmp_path / "out", directory=folder) == f"{folder}\n"


def test_a_directory_that_is_not_there(make: Any, tmp_path: Path) -> None:
    task = Task("a", command="pwd", container=ContainerOptions(directory=str(tmp_path / "none")))
    with pytest.raises(PermanentError, match="directory: there is no folder"):
        make().create(task, "n")


def test_output_to_a_file_is_appended(make: Any, tmp_path: Path) -> None:
    backend = make()
    file = tmp_path / "out"
    assert output_of(backend, "echo one", file) == "one\n"
    assert output_of(backend, "sh -c 'echo two >&2'", file) == "one\ntwo\n"
    assert backend.last_log_lines(backend.list()[0].id) == ""


def test_output_to_a_folder_that_is_not_there(make: Any, tmp_path: Path) -> None:
    task = Task("a", command="pwd", container=ContainerOptions(output=str(tmp_path / "none" / "out")))
    with pytest.raises(PermanentError, match="output: there is no folder for"):
        make().create(task, "n")


@pytest.mark.parametrize("folder", ["", "/"])
def test_output_that_is_inherited(make: Any, capfd: pytest.CaptureFixture[str], folder: str) -> None:
    backend = make()
    options = ContainerOptions(output="inherit", directory=folder)
    id = run(backend, Task("a", command="sh -c 'echo out; echo err >&2'", container=options))
    wait_for(lambda: backend.list()[0].exit_code == 0 and backend._processes[id].over)
    assert capfd.readouterr() == ("out\n", "err\n")


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that every user may look into."""
    for folder in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


@needs_root
@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("nobody", "{uid}:{gid}:{gid} HOME={home} USER=nobody"),
        ("{uid}", "{uid}:{gid}:{gid} HOME={home} USER=nobody"),
        ("nobody:7", "{uid}:7:7 HOME={home} USER=nobody"),
        ("54321:54321", "54321:54321:54321 HOME={own} USER="),
    ],
)
def test_user(make: Any, open_folder: Path, user: str, said: str) -> None:
    nobody = pwd.getpwnam("nobody")
    known = {"uid": nobody.pw_uid, "gid": nobody.pw_gid, "home": nobody.pw_dir, "own": "/own"}
    command = """sh -c 'echo "$(id -u):$(id -g):$(id -G) HOME=$HOME USER=$USER"'"""
    backend = make(HOME="/own", USER="")
    assert output_of(backend, command, open_folder / "out", user=user.format(**known)) == (
        said.format(**known) + "\n"
    )


@needs_root
def test_a_process_of_another_user_is_stopped_and_its_exit_code_is_known(make: Any) -> None:
    backend = make()
    task = Task("a", command="sleep 300", container=ContainerOptions(user="nobody"))
    stopped, ends = run(backend, task), Task("a", command="sh -c 'exit 7'", container=task.container)
    backend.stop(stopped, 60.0)
    failed = run(backend, ends, "m")
    wait_for(lambda: {s.id: s.exit_code for s in backend.list()} == {stopped: 143, failed: 7})


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ("not-there", 'the user "not-there" is not known here: create it, or leave user out'),
        ("54321", 'the user "54321" is not known here: give its group too, as in 54321:54321'),
        ("root:not-there", 'the group "not-there" is not known here: create it, or leave it out'),
    ],
)
def test_a_user_that_is_not_known(user: str, line: str) -> None:
    assert list(impossible(Task("a", command="pwd", container=ContainerOptions(user=user)))) == [line]


def test_only_root_starts_processes_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "getegid", lambda: 4712)
    assert account.account_of("4711:4712") is None
    with pytest.raises(account.NoAccount, match='only root may start processes as "root": run the agent as'):
        account.account_of("root")
