"""What a command starts is part of its task, and is asked to end as its program expects."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling.demand.container import ContainerOptions
from microscaling.demand.task import Task
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.utils import process as processes
from microscaling.utils.process import start_time
from tests.scheduler.processes import Watcher, backends, pid_of, run, states, wait_for

GRACE_S = 60.0
"""Longer than a busy machine takes for anything: only a test that fails waits for all of it."""
POOL = """
# As Celery's pool: the children die of SIGTERM, the leader waits for their jobs. A job ends a while after the
# leader was asked, however long that takes to come.
trap ': >"$0.asked"; wait $child; echo leader; exit 0' TERM
(until [ -e "$0.asked" ]; do sleep 0.05; done; sleep 0.5; echo job done) & child=$!
echo up
wait $child
"""
HORSE = '''
# As RQ's worker: the job runs in a session of its own; a second SIGTERM kills it. It ends a while after the
# first one, however long that takes to come, and after there is a file, if one is named.
import os, signal, subprocess, sys, time
def ask(*_):
    print("asked", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: horse.kill())
    horse.stdin.close()
signal.signal(signal.SIGTERM, ask)
job = """
import os, sys, time
sys.stdin.read()
while not all(map(os.path.exists, sys.argv[1:])):
    time.sleep(0.02)
time.sleep(%s)
print("job done", flush=True)
"""
command = [sys.executable, "-c", job, *sys.argv[1:]]
horse = subprocess.Popen(command, start_new_session=True, stdin=subprocess.PIPE)
print("up", flush=True)
sys.exit(horse.wait() != 0)
'''
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.execvpe("sleep", ["sleep", "300"], {} if "emptied" in sys.argv else os.environ)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
sys.exit(3)
"""
"""Its leader ends when there is a file."""
HIDDEN = """sh -c "setsid sh -c 'setsid sleep 300 & echo \\$\\$ \\$!; wait' & wait" """
LINGERS = """
import os, signal, sys, time
def heard(*_):
    print("heard", flush=True)
    time.sleep(0.3)
    print("still here", flush=True)
signal.signal(signal.SIGTERM, heard)
print("up", flush=True)
for path in sys.argv[1:]:
    open(path, "w").close()
while True:
    time.sleep(0.05)
"""


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


@pytest.fixture
def program(tmp_path):
    """A maker of commands: a Python program or shell script in a file, with what goes around it."""

    def program(text: str, around: str = "{}", arguments: str = "", grace_s: float = 1.0) -> Task:
        shell = text is POOL
        path = tmp_path / f"program-{len(list(tmp_path.iterdir()))}"
        path.write_text(text)
        command = f"{'sh' if shell else sys.executable} {path} {arguments}".strip()
        return Task(
            "worker", command=around.format(command), container=ContainerOptions(stop_grace_s=grace_s)
        )

    return program


def said(backend: ProcessBackend, id: str) -> list[str]:
    return backend.last_log_lines(id).splitlines()


@contextlib.contextmanager
def stopping(backend: ProcessBackend, id: str) -> Iterator[None]:
    """Within the block it is being stopped, and has all the time it needs; at its end it has no more."""
    stop = threading.Thread(target=backend.stop, args=(id, GRACE_S))
    stop.start()
    try:
        yield
    finally:
        backend.stop(id, 0.0)
        stop.join()


AROUND = ["{}", 'sh -c "{}; true"', "sh -c '{} & wait; true'", "sh -c \"sh -c '{}; true'; true\""]


@pytest.mark.parametrize("around", AROUND)
def test_the_job_of_a_pool_is_not_lost(backend, program, around):
    id = run(backend, program(POOL, around))
    wait_for(lambda: "up" in said(backend, id))
    backend.stop(id, GRACE_S)
    assert said(backend, id)[-2:] == ["job done", "leader"]
    assert states(backend) == {id: State.EXITED}


@pytest.mark.parametrize("around", AROUND)
def test_the_job_of_a_work_horse_is_not_lost(backend, program, around):
    id = run(backend, program(HORSE % 0.8, around))
    wait_for(lambda: "up" in said(backend, id))
    backend.stop(id, GRACE_S)
    assert said(backend, id) == ["up", "asked", "job done"]


def test_a_second_stop_asks_nothing_again(backend, program):
    id = run(backend, program(HORSE % 1.0))
    wait_for(lambda: "up" in said(backend, id))
    stops = [threading.Thread(target=backend.stop, args=(id, GRACE_S)) for _ in range(3)]
    for stop in stops:
        stop.start()
    for stop in stops:
        stop.join()
    assert said(backend, id) == ["up", "asked", "job done"]


@pytest.mark.parametrize("around", AROUND[:2])
def test_the_next_agent_does_not_ask_again(make, program, tmp_path, around):
    first = make()
    finish = tmp_path / "finish"
    id = run(first, program(HORSE % 0.5, around, arguments=str(finish)))
    wait_for(lambda: "up" in said(first, id))
    stop = threading.Thread(target=first.stop, args=(id, GRACE_S))
    stop.start()
    wait_for(lambda: "asked" in said(first, id))
    state = Path(first._folder.path, "state.json")
    wait_for(lambda: len(json.loads(state.read_text())["asked"].get(id, ())) == around.count("sh -c") + 1)
    # As an agent that is killed: it lets go of the folder, and does nothing more.
    first._folder.close()
    second = make()
    second.prepare(program("", grace_s=GRACE_S))
    assert states(second) == {id: State.RUNNING}
    finish.touch()
    second.stop(id, GRACE_S)
    assert said(second, id) == ["up", "asked", "job done"]
    stop.join()


@pytest.mark.parametrize("around", ["{}", 'sh -c "{}; true"'])
@pytest.mark.parametrize("pidfd", [True, False])
def test_nothing_is_killed_before_the_grace_is_over(backend, program, monkeypatch, around, pidfd):
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    id = run(backend, program(LINGERS, around))
    wait_for(lambda: "up" in said(backend, id))
    with stopping(backend, id):
        wait_for(lambda: "still here" in said(backend, id))
        assert states(backend) == {id: State.RUNNING}
    assert said(backend, id) == ["up", "heard", "still here"]
    assert states(backend) == {id: State.EXITED}


def test_a_place_is_held_until_all_of_it_has_gone(backend, program, tmp_path):
    up = tmp_path / "up"
    around = f"sh -c '{{}} & until [ -e {up} ]; do sleep 0.05; done; exit 7'"
    id = run(backend, program(LINGERS, around, arguments=str(up), grace_s=GRACE_S))
    watcher = Watcher(backend)
    leader = pid_of(backend, id)
    wait_for(lambda: "heard" in said(backend, id))
    assert start_time(leader) is None
    assert states(backend) == {id: State.RUNNING}
    assert watcher.kinds(id) == []
    wait_for(lambda: "still here" in said(backend, id))
    assert states(backend) == {id: State.RUNNING}
    backend.stop(id, 0.0)
    wait_for(lambda: watcher.kinds(id) == ["die"])
    assert watcher.exit_code(id) == 7
    assert said(backend, id) == ["up", "heard", "still here"]


def test_what_outlives_its_leader_is_killed_when_the_grace_of_the_task_is_over(backend):
    # It ignores the signal from its first moment on, as its leader did.
    command = """sh -c 'trap "" TERM; sleep 300 & echo $!; exit 7'"""
    id = run(backend, Task("stubborn", command=command, container=ContainerOptions(stop_grace_s=0.3)))
    child = int(wait_for(lambda: said(backend, id))[0])
    wait_for(lambda: states(backend) == {id: State.EXITED})
    assert start_time(child) is None


@pytest.mark.parametrize("environment", ["inherited", "emptied"])
@pytest.mark.parametrize("end", ["stop", "remove", "exit", "kill"])
def test_a_daemon_of_a_worker_ends_with_it(folder, program, tmp_path, environment, end):
    backend = ProcessBackend(folder, os.environ, alone=True)
    watcher = Watcher(backend)
    finish = tmp_path / "finish"
    id = run(backend, program(DAEMON, arguments=f"{finish} {environment}"))
    daemon = int(wait_for(lambda: said(backend, id))[0])
    started = start_time(daemon)
    assert os.getsid(daemon) != pid_of(backend, id)
    # The other one has no mark: it is found by looking around now and then.
    family = backend._processes[id].family
    wait_for(lambda: environment == "inherited" or daemon in family._known)
    if end == "stop":
        backend.stop(id, GRACE_S)
    elif end == "remove":
        backend.remove(id)
    elif end == "kill":
        os.kill(pid_of(backend, id), signal.SIGKILL)
    else:
        finish.touch()
    wait_for(lambda: "die" in watcher.kinds(id))
    assert start_time(daemon) != started
    backend.remove(id)
    backend.close()


def test_one_that_ends_while_it_is_looked_at_hides_no_other(backend, monkeypatch):
    """A parent that is gone before its environment is read: its child was not ours yet, but now is."""
    id = run(backend, Task("daemon", command=HIDDEN))
    middle, daemon = map(int, wait_for(lambda: said(backend, id))[0].split())
    # Until then it may be between two programs, and has no environment to show.
    wait_for(lambda: Path(f"/proc/{daemon}/cmdline").read_bytes().startswith(b"sleep\0"))
    started = start_time(daemon)
    has_variable = processes.has_variable

    def ends_first(pid, name, value):
        if pid == middle and start_time(middle):
            os.kill(middle, signal.SIGKILL)
            os.waitpid(middle, 0)
        return has_variable(pid, name, value)

    monkeypatch.setattr("microscaling.scheduler.process.family.has_variable", ends_first)
    os.kill(pid_of(backend, id), signal.SIGKILL)
    wait_for(lambda: states(backend) == {id: State.EXITED})
    assert start_time(daemon) != started


def test_one_that_has_only_just_begun_shows_its_mark(monkeypatch):
    """Half of all programs show no environment at the moment at which they have been started."""
    monkeypatch.setattr(processes, "EXEC_S", 60.0)
    environ = {**os.environ, "MARK": "mine"}
    for _ in range(100):
        pid = os.posix_spawn("/bin/sleep", ["sleep", "300"], environ, setsid=True)
        try:
            assert processes.has_variable(pid, "MARK", "mine")
            assert not processes.has_variable(pid, "MARK", "another's")
        finally:
            os.kill(pid, signal.SIGKILL)
            processes.has_variable(pid, "MARK", "mine")  # nor is one waited for that has ended
            os.waitpid(pid, 0)


def test_nobody_waits_for_what_shows_nothing(monkeypatch):
    monkeypatch.setattr(processes, "EXEC_S", 3600.0)
    emptied = os.posix_spawn("/bin/sleep", ["sleep", "300"], {}, setsid=True)
    ended = os.posix_spawn("/bin/true", ["true"], {}, setsid=True)
    wait_for(lambda: start_time(ended) is None)
    kernel = [pid for pid, row in processes.snapshot().items() if row.parent == 2]
    try:
        assert not any(processes.has_variable(pid, "MARK", "x") for pid in (emptied, ended, *kernel))
    finally:
        os.kill(emptied, signal.SIGKILL)
        for pid in (emptied, ended):
            os.waitpid(pid, 0)


def test_a_leader_that_puts_itself_into_the_background(backend):
    watcher = Watcher(backend)
    id = run(backend, Task("daemon", command="sh -c 'setsid sleep 300 & echo $!'"))
    wait_for(lambda: watcher.kinds(id) == ["start", "die"] or "die" in watcher.kinds(id))
    assert start_time(int(said(backend, id)[0])) is None


def test_a_worker_killed_in_its_job_leaves_nothing(backend, program):
    id = run(backend, program(POOL))
    wait_for(lambda: "up" in said(backend, id))
    os.kill(pid_of(backend, id), signal.SIGKILL)
    wait_for(lambda: states(backend) == {id: State.EXITED})
    assert "job done" not in said(backend, id)


def test_orphans_are_reaped(folder, program):
    """As PID 1, and as a subreaper: whatever a task has left, it leaves no zombies."""
    before = set(processes.children())  # such as a server for other tests, which may end meanwhile
    with contextlib.closing(ProcessBackend(folder, os.environ, alone=True)) as backend:
        Watcher(backend)
        command = "sh -c 'for i in 1 2 3; do (env -i setsid true &); done; sleep 300'"
        id = run(backend, Task("busy", command=command))
        leader = pid_of(backend, id)
        time.sleep(0.2)
        wait_for(lambda: set(processes.children()) <= before | {leader})
        backend.stop(id, 60.0)
        wait_for(lambda: set(processes.children()) <= before)
        backend.remove(id)


def test_children_of_ours_that_no_task_started_are_left_alone(folder):
    import subprocess

    backend = ProcessBackend(folder, os.environ, alone=True)
    Watcher(backend)
    child = subprocess.Popen(["sh", "-c", "sleep 2.5; exit 5"])
    id = run(backend)
    backend.stop(id, 60.0)
    backend.remove(id)
    time.sleep(0.1)
    assert child.wait() == 5
    backend.close()


def test_a_child_from_before_the_agent_is_left_alone(folder):
    """As of a script that ends with `exec python -m microscaling`; in a session of its own."""
    import subprocess

    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        with contextlib.closing(ProcessBackend(folder, os.environ, alone=True)) as backend:
            orphans = backend._orphans
            looks, look = [], orphans.look
            orphans.look = lambda families: looks.append(look(families))
            Watcher(backend)
            wait_for(lambda: len(looks) >= 3)  # what is seen twice is settled
            assert child.poll() is None
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("written", [True, False])
def test_a_leader_that_has_gone_while_its_children_live_is_adopted(make, program, written):
    first = make()
    id = run(first, program(LINGERS, "sh -c '{} & exec sleep 300'", grace_s=5.0))
    wait_for(lambda: "up" in said(first, id))
    leader = pid_of(first, id)
    rest = first._processes[id].family.members(processes.snapshot())
    first.close()
    if not written:
        state = Path(first._folder.path, "state.json")
        state.write_text(state.read_text().replace(f'"pid": {leader}', '"pid": null'))
    os.kill(leader, signal.SIGKILL)
    os.waitpid(leader, 0)
    second = make()
    second.prepare(program("", grace_s=GRACE_S))
    assert states(second) == {id: State.RUNNING}
    wait_for(lambda: "still here" in said(second, id))
    assert states(second) == {id: State.RUNNING}
    second.stop(id, 0.0)
    assert states(second) == {id: State.EXITED}
    assert said(second, id) == ["up", "heard", "still here"]
    assert [start_time(pid) for pid in rest] == [None]


def test_the_session_of_another_with_the_number_of_ours_is_left_alone(backend, monkeypatch):
    """A number that was used again: its new owner's session is none of ours."""
    id = run(backend, Task("brief", command="sh -c 'sleep 0.3 & exit 0'"))
    leader = pid_of(backend, id)
    snapshot = processes.snapshot
    mine = os.getpid()

    def used_again():
        rows = snapshot()
        rows[leader] = processes.Row(leader, 1, leader, leader, "1", zombie=False)
        rows[mine] = processes.Row(mine, leader, leader, leader, "2", zombie=False)
        return rows

    family = backend._processes[id].family
    monkeypatch.setattr("microscaling.scheduler.process.family.snapshot", used_again)
    assert not {leader, mine} & family.members(used_again()).keys()
    wait_for(lambda: states(backend) == {id: State.EXITED})


def test_without_proc_a_group_is_asked_and_ended(make, monkeypatch, program, tmp_path):
    """As on macOS: no /proc, no pidfds, no subreaper; `ps` shows groups."""
    monkeypatch.setattr("microscaling.utils.process.PROC", str(tmp_path))
    monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.setattr("microscaling.utils.subreaper.set_to", lambda on: False)
    backend = make()
    id = run(backend, program(LINGERS, 'sh -c "{}; true"'))
    wait_for(lambda: "up" in said(backend, id))
    with stopping(backend, id):
        wait_for(lambda: "still here" in said(backend, id))
        assert states(backend) == {id: State.RUNNING}
    assert said(backend, id) == ["up", "heard", "still here"]
    assert states(backend) == {id: State.EXITED}
