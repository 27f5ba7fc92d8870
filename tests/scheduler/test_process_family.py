"""What a command starts is part of its task, and is asked to end as its program expects."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from microscaling.demand.container import ContainerOptions
from microscaling.demand.task import Task
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.utils import process as processes
from microscaling.utils.process import start_time
from tests.scheduler.processes import Watcher, backends, pid_of, run, states, wait_for

POOL = """
# As Celery's pool: the children die of SIGTERM, the leader waits for their jobs.
trap 'wait $child; echo leader; exit 0' TERM
(sleep 0.6; echo job done) & child=$!
echo up
wait $child
sleep 300
"""
HORSE = """
# As RQ's worker: the job runs in a session of its own; a second SIGTERM kills it.
import os, signal, subprocess, sys, time
def ask(*_):
    print("asked", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: horse.kill())
signal.signal(signal.SIGTERM, ask)
job = "import time; time.sleep(%s); print('job done', flush=True)"
horse = subprocess.Popen([sys.executable, "-c", job], start_new_session=True)
print("up", flush=True)
sys.exit(horse.wait() != 0)
"""
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.execvpe("sleep", ["sleep", "300"], {} if "emptied" in sys.argv else os.environ)
    os._exit(0)
os.wait()
time.sleep(float(sys.argv[1]))
sys.exit(3)
"""
HIDDEN = """sh -c "setsid sh -c 'setsid sleep 300 & echo \\$\\$ \\$!; wait' & wait" """
LINGERS = """
import os, signal, sys, time
def heard(*_):
    print("heard", flush=True)
    time.sleep(0.3)
    print("still here", flush=True)
signal.signal(signal.SIGTERM, heard)
print("up", flush=True)
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


AROUND = ["{}", 'sh -c "{}; true"', "sh -c '{} & wait; true'", "sh -c \"sh -c '{}; true'; true\""]


@pytest.mark.parametrize("around", AROUND)
def test_the_job_of_a_pool_is_not_lost(backend, program, around):
    id = run(backend, program(POOL, around))
    wait_for(lambda: "up" in said(backend, id))
    backend.stop(id, 20.0)
    assert said(backend, id)[-2:] == ["job done", "leader"]
    assert states(backend) == {id: State.EXITED}


@pytest.mark.parametrize("around", AROUND)
def test_the_job_of_a_work_horse_is_not_lost(backend, program, around):
    id = run(backend, program(HORSE % 0.8, around))
    wait_for(lambda: "up" in said(backend, id))
    backend.stop(id, 20.0)
    assert said(backend, id) == ["up", "asked", "job done"]


def test_a_second_stop_asks_nothing_again(backend, program):
    id = run(backend, program(HORSE % 1.0))
    wait_for(lambda: "up" in said(backend, id))
    stops = [threading.Thread(target=backend.stop, args=(id, 20.0)) for _ in range(3)]
    for stop in stops:
        stop.start()
    for stop in stops:
        stop.join()
    assert said(backend, id) == ["up", "asked", "job done"]


@pytest.mark.parametrize("around", AROUND[:2])
def test_the_next_agent_does_not_ask_again(make, program, around):
    first = make()
    id = run(first, program(HORSE % 1.5, around))
    wait_for(lambda: "up" in said(first, id))
    stop = threading.Thread(target=first.stop, args=(id, 20.0))
    stop.start()
    wait_for(lambda: "asked" in said(first, id))
    state = Path(first._folder.path, "state.json")
    wait_for(lambda: len(json.loads(state.read_text())["asked"].get(id, ())) == around.count("sh -c") + 1)
    # As an agent that is killed: it lets go of the folder, and does nothing more.
    first._folder.close()
    second = make()
    second.prepare(program("", grace_s=20.0))
    assert states(second) == {id: State.RUNNING}
    second.stop(id, 20.0)
    assert said(second, id) == ["up", "asked", "job done"]
    stop.join()


@pytest.mark.parametrize("around", ["{}", 'sh -c "{}; true"'])
@pytest.mark.parametrize("pidfd", [True, False])
def test_nothing_is_killed_before_the_grace_is_over(backend, program, monkeypatch, around, pidfd):
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    id = run(backend, program(LINGERS, around))
    wait_for(lambda: "up" in said(backend, id))
    backend.stop(id, 0.8)
    assert said(backend, id) == ["up", "heard", "still here"]
    assert states(backend) == {id: State.EXITED}


def test_a_place_is_held_until_all_of_it_has_gone(backend, program):
    id = run(backend, program(LINGERS, "sh -c '{} & read x; sleep 0.3; exit 7'", grace_s=1.5))
    watcher = Watcher(backend)
    leader = pid_of(backend, id)
    wait_for(lambda: "heard" in said(backend, id))
    assert start_time(leader) is None
    assert states(backend) == {id: State.RUNNING}
    assert watcher.kinds(id) == []
    wait_for(lambda: watcher.kinds(id) == ["die"])
    assert watcher.exit_code(id) == 7
    assert said(backend, id) == ["up", "heard", "still here"]


@pytest.mark.parametrize("environment", ["inherited", "emptied"])
@pytest.mark.parametrize("end", ["stop", "remove", "exit", "kill"])
def test_a_daemon_of_a_worker_ends_with_it(folder, program, environment, end):
    backend = ProcessBackend(folder, os.environ, alone=True)
    watcher = Watcher(backend)
    id = run(backend, program(DAEMON, arguments=f"{3 if end == 'exit' else 300} {environment}"))
    daemon = int(wait_for(lambda: said(backend, id))[0])
    started = start_time(daemon)
    assert os.getsid(daemon) != pid_of(backend, id)
    # The other one has no mark: it is found by looking around now and then.
    family = backend._processes[id].family
    wait_for(lambda: environment == "inherited" or daemon in family._known)
    if end == "stop":
        backend.stop(id, 10.0)
    elif end == "remove":
        backend.remove(id)
    elif end == "kill":
        os.kill(pid_of(backend, id), signal.SIGKILL)
    wait_for(lambda: "die" in watcher.kinds(id))
    assert start_time(daemon) != started
    backend.remove(id)
    backend.close()


def test_one_that_ends_while_it_is_looked_at_hides_no_other(backend, monkeypatch):
    """A parent that is gone before its environment is read: its child was not ours yet, but now is."""
    id = run(backend, Task("daemon", command=HIDDEN))
    middle, daemon = map(int, wait_for(lambda: said(backend, id))[0].split())
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
    before = set(processes.children())  # such as a server for other tests
    backend = ProcessBackend(folder, os.environ, alone=True)
    Watcher(backend)
    id = run(
        backend, Task("busy", command="sh -c 'for i in 1 2 3; do (env -i setsid true &); done; sleep 300'")
    )
    leader = pid_of(backend, id)
    time.sleep(0.2)
    wait_for(lambda: set(processes.children()) <= before | {leader})
    backend.stop(id, 5.0)
    assert not [row for row in processes.snapshot().values() if row.parent == os.getpid() and row.zombie]
    backend.remove(id)
    backend.close()


def test_children_of_ours_that_no_task_started_are_left_alone(folder):
    import subprocess

    backend = ProcessBackend(folder, os.environ, alone=True)
    Watcher(backend)
    child = subprocess.Popen(["sh", "-c", "sleep 2.5; exit 5"])
    id = run(backend)
    backend.stop(id, 5.0)
    backend.remove(id)
    time.sleep(0.1)
    assert child.wait() == 5
    backend.close()


def test_a_child_from_before_the_agent_is_left_alone(folder):
    """As of a script that ends with `exec python -m microscaling`; in a session of its own."""
    import subprocess

    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    backend = ProcessBackend(folder, os.environ, alone=True)
    orphans = backend._orphans
    looks, look = [], orphans.look
    orphans.look = lambda families: looks.append(look(families))
    Watcher(backend)
    wait_for(lambda: len(looks) >= 3)  # what is seen twice is settled
    assert child.poll() is None
    backend.close()
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
    second.prepare(program("", grace_s=1.5))
    assert states(second) == {id: State.RUNNING}
    wait_for(lambda: states(second) == {id: State.EXITED})
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
    backend.stop(id, 1.5)
    assert said(backend, id) == ["up", "heard", "still here"]
    assert states(backend) == {id: State.EXITED}
