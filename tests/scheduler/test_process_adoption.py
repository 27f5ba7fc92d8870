"""What one agent leaves, the next one finds; and nothing that is not its own is touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

import pytest

from microscaling.demand.task import Task
from microscaling.errors import ConfigError, TemporaryError
from microscaling.scheduler.containers.backend import State
from microscaling.scheduler.containers.state_folder import default_folder
from microscaling.scheduler.process.state import StateFolder, boot_id
from microscaling.utils.process import start_time
from tests.scheduler.processes import (
    FAMILY,
    SLEEP,
    STUBBORN,
    Watcher,
    backends,
    pid_of,
    run,
    states,
    wait_for,
)

AGENT = """
import os, signal, sys
from microscaling.demand.task import Task
from microscaling.scheduler.process import backend as process
from microscaling.scheduler.process import handle as process_handle
backend = process.ProcessBackend(sys.argv[1])
die = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
spawn = process_handle.Handle.spawn
def spawn_and_die(*args):
    spawn(*args)
    die()
if sys.argv[2] == "before spawning":
    process.Handle.spawn = die
if sys.argv[2] == "after spawning":
    process.Handle.spawn = spawn_and_die
for _ in range(3):
    backend.start(backend.create(Task("sleeper", command="sleep 300"), "n"))
die()
"""


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "state")


@pytest.fixture
def make(folder):
    with backends(folder) as make:
        yield make


@pytest.fixture
def bystander():
    """A process that is nobody's business."""
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


def write_state(folder, *entries):
    os.makedirs(folder, mode=0o700, exist_ok=True)
    common = {"task": "sleeper", "nonce": "n", "created": 1.0}
    state = {"version": 1, "boot": boot_id(), "processes": [{**common, **entry} for entry in entries]}
    with open(os.path.join(folder, "state.json"), "w") as file:
        json.dump(state, file)


@pytest.mark.parametrize("task", [SLEEP, STUBBORN, FAMILY], ids=lambda task: task.name)
@pytest.mark.parametrize("pidfd", [True, False])
def test_adopted_after_close(make, monkeypatch, task, pidfd):
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    first = make()
    id = run(first, task, "nonce-1")
    reserved = first.create(task, "never started")
    pid = pid_of(first, id)
    (before, _) = first.list()
    first.close()
    second = make()
    watcher = Watcher(second)
    assert second.list() == [before]
    assert reserved not in states(second)
    second.stop(id, 0.3)
    assert start_time(pid) is None
    assert states(second) == {id: State.EXITED}
    second.remove(id)
    wait_for(lambda: watcher.kinds(id) == ["die", "destroy"])


def test_death_of_an_adopted_process_is_told(make):
    first = make()
    id = run(first)
    pid = pid_of(first, id)
    first.close()
    watcher = Watcher(make())
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: watcher.kinds(id) == ["die"])


@pytest.mark.parametrize(("when", "left"), [("in the end", 3), ("before spawning", 0), ("after spawning", 1)])
def test_nothing_is_lost_when_an_agent_is_killed(make, folder, when, left):
    agent = subprocess.run([sys.executable, "-c", AGENT, folder, when])
    assert agent.returncode == -signal.SIGKILL
    backend = make()
    assert list(states(backend).values()) == [State.RUNNING] * left
    for id in states(backend):
        pid = pid_of(backend, id)
        backend.stop(id, 60.0)
        assert start_time(pid) is None


def test_children_of_what_was_not_written_down_are_not_its_leader(make, folder, monkeypatch):
    first = make()
    id = run(first, FAMILY)
    pid = pid_of(first, id)
    wait_for(lambda: first.last_log_lines(id))
    first.close()
    write_state(folder, {"id": id})
    second = make()
    assert states(second) == {id: State.RUNNING}
    assert pid_of(second, id) == pid


def test_what_ended_while_nobody_looked_is_listed_as_ended(make):
    first = make()
    id = run(first, FAMILY)
    pid, child = pid_of(first, id), int(wait_for(lambda: first.last_log_lines(id)))
    first.close()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    backend = make()
    wait_for(lambda: states(backend) == {id: State.EXITED})
    assert start_time(child) is None


def test_number_that_was_used_again_is_not_signalled(make, folder, bystander):
    write_state(folder, {"id": "a", "pid": bystander.pid, "started": "12345"}, {"id": "b"})
    backend = make()
    assert states(backend) == {"a": State.EXITED}
    backend.stop("a", 0.1)
    backend.remove("a")
    assert bystander.poll() is None
    assert backend.list() == []


def test_number_that_is_used_again_later_is_not_signalled(make, folder, bystander, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    started = start_time(bystander.pid)
    write_state(folder, {"id": "a", "pid": bystander.pid, "started": started})
    backend = make()
    assert states(backend) == {"a": State.RUNNING}
    monkeypatch.setattr("microscaling.scheduler.process.handle.start_time", lambda pid: "another")
    backend.stop("a", 0.1)
    backend.remove("a")
    assert bystander.poll() is None


def test_after_a_restart_of_the_machine_nothing_is_left(make, folder, bystander, monkeypatch):
    write_state(folder, {"id": "a", "pid": bystander.pid, "started": start_time(bystander.pid)})
    monkeypatch.setattr("microscaling.scheduler.process.state.boot_id", lambda: "next")
    assert make().list() == []


def test_damaged_state_is_not_taken_for_an_empty_one(make, folder):
    write_state(folder)
    with open(os.path.join(folder, "state.json"), "w") as file:
        file.write('{"processes": [{"id"')
    with pytest.raises(ConfigError, match=r"state.json cannot be read"):
        make().list()
    write_state(folder)


@pytest.mark.parametrize("left", [b"", b"\0" * 300, b'{"version": 1, "processes": [' + b"\0" * 200])
def test_a_state_file_that_a_power_cut_has_emptied_names_no_process(make, folder, left):
    write_state(folder)
    with open(os.path.join(folder, "state.json"), "wb") as file:
        file.write(left)
    assert make().list() == []


def test_a_start_does_not_wait_for_the_disk(make, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: pytest.fail("waits for the disk"))
    monkeypatch.setattr(os, "fdatasync", lambda file: pytest.fail("waits for the disk"))
    run(make(), SLEEP)


@pytest.mark.parametrize(
    "bad", [None, 3, [], {}, {"id": "b", "task": "a"}, {"id": "../b"}, {"id": "b", "pid": "x"}]
)
def test_one_entry_that_cannot_be_read_is_named_and_the_others_are_adopted(make, folder, caplog, bad):
    first = make()
    kept = first.create(Task("a", command="sleep 3600"), "n-1")
    first.start(kept)
    first.close()
    path = os.path.join(folder, "state.json")
    with open(path) as file:
        state = json.load(file)
    whole = {**state["processes"][0], **bad} if isinstance(bad, dict) and "task" not in bad and bad else bad
    state["processes"].insert(0, whole)
    with open(path, "w") as file:
        json.dump(state, file)
    second = make()
    (seen,) = second.list()
    assert (seen.id, seen.state) == (kept, State.RUNNING)
    assert caplog.text.count("an entry cannot be read") == 1
    second.remove(kept)


def remove(path):
    """At once, as what tidies up would otherwise race with what mends."""
    aside = f"{path}-{time.monotonic_ns()}"
    os.rename(path, aside)
    shutil.rmtree(aside) if os.path.isdir(aside) else os.unlink(aside)


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "../../../etc/passwd", "pid": 7},
        {"id": "a", "pid": "7"},
        {"id": "a", "pid": -1},
        {"id": "a", "pid": 1},
        {"id": "a", "pid": True},
        {"id": 7},
        {"id": "a", "created": "x"},
        {"id": "a", "started": 7},
    ],
)
def test_state_that_no_agent_wrote_is_refused(make, folder, entry):
    write_state(folder, entry)
    with pytest.raises(ConfigError, match=r"state.json cannot be read"):
        make().list()
    write_state(folder)


def test_state_of_a_later_version_is_read(make, folder, bystander):
    started = start_time(bystander.pid)
    write_state(folder, {"id": "a", "pid": bystander.pid, "started": started, "colour": "red"})
    backend = make()
    assert states(backend) == {"a": State.RUNNING}
    backend.close()
    write_state(folder)


def test_folder_that_was_removed_is_made_anew(make, folder, monkeypatch):
    monkeypatch.setattr("microscaling.scheduler.process.backend.CARE_S", 0.05)
    backend = make()
    watcher = Watcher(backend)
    first = run(backend)
    remove(folder)
    second = run(backend)  # at once, not only after the next look
    remove(folder)
    wait_for(lambda: os.path.exists(os.path.join(folder, "state.json")))
    third = run(backend, Task("chatty", command="sh -c 'echo hello; sleep 300'"))
    wait_for(lambda: backend.last_log_lines(third) == "hello")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    backend.stop(first, 60.0)
    monkeypatch.setattr("microscaling.scheduler.process.state.LOCK_WAIT_S", 0.1)
    with pytest.raises(ConfigError, match="another agent"):
        make().list()
    backend.close()
    watcher.join(60)
    other = make()
    assert states(other) == {first: State.EXITED, second: State.RUNNING, third: State.RUNNING}


@pytest.mark.parametrize("gone", ["lock", "logs", "state.json"])
def test_part_of_the_folder_that_was_removed_is_made_anew(make, folder, monkeypatch, gone):
    monkeypatch.setattr("microscaling.scheduler.process.backend.CARE_S", 0.05)
    backend = make()
    Watcher(backend)
    id = run(backend)
    path = os.path.join(folder, gone)
    remove(path)
    wait_for(lambda: os.path.exists(path))
    assert states(backend) == {id: State.RUNNING}
    backend.close()
    assert states(make()) == {id: State.RUNNING}


def test_work_goes_on_without_a_folder(tmp_path, monkeypatch, caplog):
    """As when logind has removed /run/user/UID, which only it can make anew."""
    # Else what mends may have mended just before, and say so late.
    monkeypatch.setattr("microscaling.scheduler.process.backend.CARE_S", 3600.0)
    folder = tmp_path / "runtime" / "state"
    with backends(str(folder)) as make:
        backend = make()
        watcher = Watcher(backend)
        first = run(backend)
        remove(folder.parent)
        folder.parent.write_text("in the way")
        second = run(backend)
        said = len(lines := caplog.records)
        assert states(backend) == {first: State.RUNNING, second: State.RUNNING}
        for id in (first, second):
            backend.stop(id, 60.0)
            backend.remove(id)
            wait_for(lambda id=id: watcher.kinds(id)[-1] == "destroy")
        assert "cannot be created again" in lines[-1].message
        assert len(caplog.records) == said, "once is enough"
        folder.parent.unlink()
        backend._care()
        assert (folder / "state.json").exists()


def test_folder_that_another_agent_has_taken_meanwhile(make, folder, caplog):
    first, second = make(), make()
    id = run(first)
    remove(folder)
    assert second.list() == []
    run(first)
    assert len(first.list()) == 2
    assert "another agent" in caplog.text
    for seen in first.list():
        first.remove(seen.id)
    assert id not in states(second)


def test_second_agent_is_refused(make, monkeypatch):
    monkeypatch.setattr("microscaling.scheduler.process.state.LOCK_WAIT_S", 0.1)
    first, second = make(), make()
    first.list()
    said = rf"another agent \(process {os.getpid()}\) already .* MSS_STATE_DIR"
    for call in (second.list, lambda: second.prepare(SLEEP)):
        with pytest.raises(ConfigError, match=said):
            call()
    first.close()
    assert second.list() == []


def test_folder_is_for_its_user_only(make, folder):
    os.mkdir(folder, 0o755)
    run(make())
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    for root, _, files in os.walk(folder):
        assert {stat.S_IMODE(os.stat(os.path.join(root, f)).st_mode) for f in files} <= {0o600}


def test_folder_of_someone_else_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="not a folder of this user"):
        StateFolder(str(tmp_path / "link")).open()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigError, match="not a folder of this user"):
        StateFolder(str(tmp_path)).open()
    with pytest.raises(ConfigError, match=r"cannot use .*: Not a directory"):
        StateFolder("/dev/null/state").open()


def test_default_folder_is_the_users_own():
    assert default_folder({"XDG_RUNTIME_DIR": "/run/user/7"}) == f"/run/user/7/microscaling-{os.getuid()}"
    assert default_folder({}).endswith(f"/microscaling-{os.getuid()}")


def test_disk_that_is_full(make, folder):
    backend = make()
    id = backend.create(SLEEP, "n")
    new = os.path.join(folder, "state.json.new")
    os.symlink("/dev/full", new)
    with pytest.raises(TemporaryError, match="No space left"):
        backend.start(id)
    os.unlink(new)
    assert states(backend) == {id: State.CREATED}
    backend.start(id)
    assert states(backend) == {id: State.RUNNING}


def test_environment_of_a_task_is_not_written_down(make, folder):
    run(make(), Task("secretive", command="sleep 300", env=["TOKEN=hunter2"]))
    with open(os.path.join(folder, "state.json")) as file:
        assert "hunter2" not in file.read()
