"""The PROCESS scheduler's engine, on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from microscaling.demand.task import Task
from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.containers.backend import ListedContainer, State
from microscaling.utils.process import start_time
from tests.scheduler.processes import (
    FAMILY,
    ORPHANS,
    SLEEP,
    STUBBORN,
    Watcher,
    backends,
    pid_of,
    run,
    states,
    wait_for,
)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "state")


@pytest.fixture
def make(folder):
    with backends(folder) as make:
        yield make


@pytest.fixture
def backend(make):
    return make()


def test_life_of_a_process(backend):
    watcher = Watcher(backend)
    id = backend.create(SLEEP, "nonce-1")
    assert states(backend) == {id: State.CREATED}
    backend.start(id)
    (seen,) = backend.list()
    pid = pid_of(backend, id)
    assert seen == ListedContainer(
        id, "sleeper", State.RUNNING, seen.created, "nonce-1", name=f"process {pid}", number=1
    )
    assert os.getsid(pid) == os.getpgid(pid) == pid != os.getpgid(0)
    backend.stop(id, 60.0)
    assert states(backend) == {id: State.EXITED}
    backend.remove(id)
    assert states(backend) == {}
    assert start_time(pid) is None
    wait_for(lambda: watcher.kinds(id) == ["create", "start", "die", "destroy"])
    assert watcher.exit_code(id) == 128 + signal.SIGTERM
    assert watcher.events[0].nonce == "nonce-1"


def test_stubborn_process_is_killed_after_the_grace(backend):
    id = run(backend, STUBBORN)
    wait_for(lambda: backend.last_log_lines(id) == "up")
    backend.stop(id, 0.2)
    assert states(backend) == {id: State.EXITED}


def test_running_process_is_killed_by_remove(backend):
    id = run(backend, STUBBORN)
    pid = pid_of(backend, id)
    backend.remove(id)
    assert states(backend) == {}
    assert start_time(pid) is None


@pytest.mark.parametrize("end", ["stop", "kill", "exit"])
def test_no_member_of_the_group_outlives_its_leader(backend, end):
    id = run(backend, ORPHANS if end == "exit" else FAMILY)
    child = int(wait_for(lambda: backend.last_log_lines(id)))
    if end == "stop":
        backend.stop(id, 60.0)
    elif end == "kill":
        os.kill(pid_of(backend, id), signal.SIGKILL)
    wait_for(lambda: states(backend) == {id: State.EXITED})
    wait_for(lambda: start_time(child) is None)


@pytest.mark.parametrize(
    ("command", "code"),
    [("sh -c 'exit 0'", 0), ("sh -c 'exit 7'", 7), ("sh -c 'kill -9 $$'", 137)],
)
def test_die_event_carries_the_exit_code(backend, command, code):
    watcher = Watcher(backend)
    id = run(backend, Task("brief", command=command))
    wait_for(lambda: "die" in watcher.kinds(id))
    assert watcher.exit_code(id) == code


def test_zombies_are_reaped_without_a_watcher(backend):
    id = run(backend, Task("brief", command="true"))
    pid = pid_of(backend, id)
    wait_for(lambda: states(backend) == {id: State.EXITED})
    assert not os.path.exists(f"/proc/{pid}")


def test_environment_is_the_agents_and_over_it_the_tasks(make):
    backend = make(COLOUR="red", SHAPE="round")
    task = Task(
        "env", command="sh -c 'echo $COLOUR $SHAPE; read x || echo nothing to read'", env=["COLOUR=a=b"]
    )
    id = run(backend, task)
    wait_for(lambda: states(backend) == {id: State.EXITED})
    assert backend.last_log_lines(id) == "a=b round\nnothing to read"


def test_last_words_are_the_last_lines(backend):
    id = run(backend, Task("chatty", command="sh -c 'seq 1 5000; echo oh no >&2'"))
    wait_for(lambda: states(backend) == {id: State.EXITED})
    assert backend.last_log_lines(id).splitlines() == [str(n) for n in range(4992, 5001)] + ["oh no"]
    assert backend.last_log_lines("unknown") == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "has no command"),
        ("sh -c 'oops", "the command .* cannot be read: No closing quotation"),
        ("no-such-program --fast", "the command 'no-such-program' is not there"),
        ("/etc/passwd", "the command '/etc/passwd' is not an executable file"),
    ],
)
def test_prepare_names_what_is_wrong(backend, command, said):
    with pytest.raises(PermanentError, match=said):
        backend.prepare(Task("web", command=command))


def test_prepare_looks_where_the_task_would(backend, tmp_path):
    program = tmp_path / "mine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    backend.prepare(Task("web", command="mine", env=[f"PATH={tmp_path}"]))


def test_program_that_cannot_run_fails_to_start(backend, tmp_path):
    (tmp_path / "empty").write_text("#!/no/such/interpreter\n")
    (tmp_path / "empty").chmod(0o755)
    id = backend.create(Task("web", command=str(tmp_path / "empty")), "n")
    with pytest.raises(PermanentError, match=r"cannot run .*: No such file"):
        backend.start(id)
    assert states(backend) == {id: State.CREATED}
    backend.remove(id)


def test_calls_for_what_is_not_there_or_done_are_no_error(backend):
    for id in ("unknown", backend.create(SLEEP, "n")):
        backend.stop(id, 0.0)
    backend.start("unknown")
    backend.start(id)
    backend.start(id)
    for _ in range(2):
        backend.stop(id, 60.0)
    backend.start(id)
    assert states(backend) == {id: State.EXITED}
    for _ in range(2):
        backend.remove(id)


def test_newest_can_be_told(backend):
    ids = [backend.create(SLEEP, "n") for _ in range(20)]
    assert [seen.id for seen in sorted(backend.list(), key=lambda seen: seen.created)] == ids


def test_many_threads(backend):
    watcher = Watcher(backend)
    ids = []

    def live():
        id = run(backend)
        ids.append(id)
        backend.stop(id, 60.0)
        backend.remove(id)

    threads = [threading.Thread(target=live) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = ["create", "start", "die", "destroy"]
    wait_for(lambda: all(watcher.kinds(id).count(kind) == 1 for id in ids for kind in every))
    assert len(watcher.events) == 80
    assert backend.list() == []


def test_watch_ends_with_unwatch_and_begins_anew(backend):
    first = Watcher(backend)
    backend.unwatch()
    first.join(60)
    assert not first.is_alive()
    again = Watcher(backend)
    id = run(backend)
    wait_for(lambda: again.kinds(id) == ["create", "start"])
    assert first.events == []


def test_close_ends_a_watch_and_leaves_what_runs(make):
    one = make()
    watcher = Watcher(one)
    pid = pid_of(one, run(one))
    one.close()
    watcher.join(60)
    assert not watcher.is_alive()
    assert start_time(pid)
    with pytest.raises(TemporaryError):
        one.list()


def test_long_output_is_cut_back(backend, monkeypatch, tmp_path):
    monkeypatch.setattr("microscaling.scheduler.process.backend.TRIM_S", 0.05)
    Watcher(backend)
    written = tmp_path / "written"
    id = run(backend, Task("flood", command=f"sh -c 'yes | head -c 3000000; : >{written}; sleep 300'"))
    wait_for(written.exists)
    path = backend._folder.log_file(id)
    wait_for(lambda: 0 < os.path.getsize(path) <= 1 << 20)
    assert backend.last_log_lines(id).endswith("y")


def test_without_pidfd_and_without_signals_to_groups(make, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    test_life_of_a_process(make())


def test_kernel_without_signals_to_groups_through_pidfds(make, monkeypatch):
    def too_old(pidfd, number, info=None, flags=0):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(signal, "pidfd_send_signal", too_old)
    test_life_of_a_process(make())


def test_start_time_as_ps_tells_it(monkeypatch, tmp_path):
    monkeypatch.setattr("microscaling.utils.process.PROC", str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert start_time(child.pid) == start_time(child.pid) != ""
    child.communicate(b"\n")
    assert start_time(child.pid) is None
