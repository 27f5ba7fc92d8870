"""Local processes that are started ahead, stopped, and told go."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.demand.container import ContainerOptions
from microscaling.demand.task import Task
from microscaling.demand.warm import Warm
from microscaling.errors import NotReady, PermanentError
from microscaling.scheduler.process import looks, unit
from microscaling.scheduler.process.backend import ProcessBackend
from microscaling.utils.process import snapshot
from tests.integration.agents import AgentProcess, wait_for

BY_FILE = (
    ': >"$MSS_READY_FILE"; until [ -e "$MSS_GO_FILE" ]; do sleep 0.05; done; echo $$ >>{0}/works; '
    "exec sleep 600"
)
BY_SIGNAL = (
    'trap go=1 URG; sleep 0.2; : >"$MSS_READY_FILE"; until [ "$go" ]; do sleep 0.05; done; '
    "echo $$ >>{0}/works; exec sleep 600"
)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[ProcessBackend]:
    found = ProcessBackend(str(tmp_path / "state"))
    yield found
    for seen in found.list():
        found.remove(seen.id)
    found.close()


BY_STOP = (
    'trap "echo $$ >>{0}/ends; exit" TERM; sleep 600 & kill -STOP $$; echo $$ >>{0}/works; '
    "while :; do sleep 0.05; done"
)
"""Its child does not stop itself. It is ready for its end before anybody can see that it works."""
STOPS = {"warmAfter": {"signal": "STOP"}, "go": {"signal": "CONT"}}


def make(tmp_path: Path, script: str, signal: str = "") -> Task:
    if script is BY_STOP:
        warm = Warm(1, signal="CONT", stops=True)
        # A busy machine may take longer than the usual second.
        grace, command = ContainerOptions(stop_grace_s=30.0), f"sh -c '{script.format(tmp_path)}'"
        return Task("a", command=command, max_containers=4, warm=warm, container=grace)
    warm = Warm(1, f"{tmp_path}/ready-{{number}}", signal, "" if signal else f"{tmp_path}/go-{{number}}")
    return Task("a", command=f"sh -c '{script.format(tmp_path)}'", max_containers=4, warm=warm)


def is_ready(backend: ProcessBackend, task: Task, id: str) -> bool:
    try:
        backend.check_ready(task, id)
    except NotReady:
        return False
    return True


@pytest.mark.parametrize("script", [BY_FILE, BY_SIGNAL], ids=["file", "signal"])
def test_each_has_a_handshake_of_its_own(backend: ProcessBackend, tmp_path: Path, script: str) -> None:
    task = make(tmp_path, script, "URG" if script is BY_SIGNAL else "")
    # What a dead process has left is no sign.
    for name in ("ready-1", "go-1"):
        (tmp_path / name).touch()
    backend.prepare(task)
    first, second = (backend.create(task, nonce) for nonce in ("n1", "n2"))
    for id in (first, second):
        backend.start(id)
        wait_for(lambda: is_ready(backend, task, id))  # noqa: B023
    backend.freeze(second)
    assert {seen.id: seen.paused for seen in backend.list()} == {first: False, second: True}
    backend.say_go(task, first)
    works = tmp_path / "works"
    works.touch()
    wait_for(works.read_text)
    assert works.read_text().split() == [str(backend._get(first).handle.pid)]  # type: ignore[union-attr]
    backend.thaw(second)
    for _ in range(2):
        backend.say_go(task, second)
    wait_for(lambda: len(works.read_text().split()) == 2)
    assert not any(seen.paused for seen in backend.list())


def written(tmp_path: Path, name: str) -> list[str]:
    path = tmp_path / name
    return path.read_text().split() if path.exists() else []


def started(backend: ProcessBackend, task: Task, nonce: str = "n") -> tuple[str, int]:
    """The id and the pid of one that waits for go."""
    backend.prepare(task)
    id = backend.create(task, nonce)
    backend.start(id)
    wait_for(lambda: is_ready(backend, task, id))
    return id, backend._get(id).handle.pid  # type: ignore[union-attr]


def test_one_that_stops_itself(backend: ProcessBackend, tmp_path: Path) -> None:
    task = make(tmp_path, BY_STOP)
    (first, one), (second, two) = (started(backend, task, nonce) for nonce in ("n1", "n2"))
    backend.freeze(second)
    wait_for(lambda: all(row.stopped for row in snapshot().values() if row.group == two))
    assert any(not row.stopped for row in snapshot().values() if row.group == one), "its child"
    assert not written(tmp_path, "works")
    for _ in range(2):
        backend.say_go(task, first)
    wait_for(lambda: written(tmp_path, "works") == [str(one)])
    assert not is_ready(backend, task, first)
    assert {seen.id: seen.paused for seen in backend.list()} == {first: False, second: True}
    backend.thaw(second)
    wait_for(lambda: written(tmp_path, "works") == [str(one), str(two)])


@pytest.mark.parametrize("frozen", [True, False])
def test_one_that_somebody_continues_is_not_frozen_and_has_its_grace(
    backend: ProcessBackend, tmp_path: Path, frozen: bool
) -> None:
    task = make(tmp_path, BY_STOP)
    id, pid = started(backend, task)
    if frozen:
        backend.freeze(id)
    os.killpg(pid, signal.SIGCONT)
    wait_for(lambda: written(tmp_path, "works") == [str(pid)])
    with pytest.raises(PermanentError, match="somebody has let it go on"):
        backend.freeze(id)
    backend.remove(id)
    assert written(tmp_path, "ends") == [str(pid)]


def test_one_whose_child_is_late_to_stop_is_not_told_go_for_it(
    backend: ProcessBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make(tmp_path, BY_STOP)
    id, _ = started(backend, task)
    monkeypatch.setattr(unit, "may_run", lambda pid, group: True)
    monkeypatch.setattr(unit, "FREEZE_S", 0.0)
    with pytest.raises(PermanentError, match="it goes on after SIGSTOP"):
        backend.freeze(id)
    assert is_ready(backend, task, id), "it still waits"


def test_one_that_waits_is_removed_at_once(backend: ProcessBackend, tmp_path: Path) -> None:
    task = make(tmp_path, BY_STOP)
    id, _ = started(backend, task)
    backend.freeze(id)
    backend.remove(id)
    assert not written(tmp_path, "works")
    assert not written(tmp_path, "ends")


def test_without_proc_nothing_shows_a_stop(
    backend: ProcessBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make(tmp_path, BY_STOP)
    id, _ = started(backend, task)
    monkeypatch.setattr(looks, "has_proc", lambda: False)
    with pytest.raises(PermanentError, match="does not show that a process is stopped"):
        backend.check_ready(task, id)


def test_a_file_that_cannot_be_written(backend: ProcessBackend, tmp_path: Path) -> None:
    task = make(tmp_path, BY_FILE)
    task.warm = Warm(1, f"{tmp_path}/ready-{{number}}", file=f"{tmp_path}/none/go-{{number}}")
    backend.prepare(task)
    id = backend.create(task, "n")
    backend.start(id)
    with pytest.raises(PermanentError, match="none/go-1: No such file or directory"):
        backend.say_go(task, id)
    os.symlink("/nowhere", tmp_path / "go-1")
    task.warm = Warm(1, "", file=f"{tmp_path}/go-{{number}}")
    with pytest.raises(PermanentError, match="go-1"):
        backend.say_go(task, id)


def test_an_agent_with_a_pool(tmp_path: Path) -> None:
    works = tmp_path / "works"
    works.touch()
    config: dict[str, Any] = {
        "command": f"sh -c '{BY_FILE.format(tmp_path)}'",
        "warm": 2,
        "warmAfter": {"file": f"{tmp_path}/ready-{{number}}"},
        "go": {"file": f"{tmp_path}/go-{{number}}"},
    }
    task = {"name": "a", "priority": 1, "minContainers": 1, "maxContainers": 1, "config": config}
    environ = {"MSS_SCHEDULER": "PROCESS", "MSS_STATE_DIR": str(tmp_path / "state")}
    with AgentProcess(tmp_path, [task], cap=3, **environ) as agent:
        wait_for(lambda: len(works.read_text().split()) == 1, "for the first to work")
        started = {int(p.name[6:]) for p in wait_for(lambda: len(ready(tmp_path)) == 3 and ready(tmp_path))}
        assert started == {1, 2, 3}
        agent.kill()
    task["maxContainers"] = task["minContainers"] = 3
    with AgentProcess(tmp_path, [task], cap=3, **environ) as agent:
        wait_for(lambda: len(set(works.read_text().split())) == 3, "for all to work")
        assert agent.stop() == 0


def ready(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("ready-*"))


def test_an_agent_with_programs_that_stop_themselves(tmp_path: Path) -> None:
    """They work once they are told, by a signal or their thaw, and never before; of a killed agent, too."""
    config: dict[str, Any] = {"command": f"sh -c '{BY_STOP.format(tmp_path)}'", "warm": 2, **STOPS}
    config["stopGraceSeconds"] = 30  # a busy machine may take longer than the usual second
    task = {"name": "a", "priority": 1, "minContainers": 1, "maxContainers": 1, "config": config}
    environ = {"MSS_SCHEDULER": "PROCESS", "MSS_STATE_DIR": str(tmp_path / "state")}
    with AgentProcess(tmp_path, [task], cap=3, **environ) as agent:
        (first,) = wait_for(lambda: written(tmp_path, "works"), "for the first to work")
        agent.says("2 are warm")
        groups = {row.group for row in snapshot().values() if row.stopped and row.parent == agent.process.pid}
        agent.kill()
    assert len(groups) == 2
    assert written(tmp_path, "works") == [first]
    with AgentProcess(tmp_path, [task], cap=3, **environ) as agent:
        agent.says("is frozen since an earlier agent", times=2)
        agent.says("2 are warm")
        agent.kill()
    assert written(tmp_path, "works") == [first], "what waits for go stays warm, and what works is not frozen"
    # Somebody lets one go on: it works, and is not ended for it.
    lucky, other = sorted(groups)
    os.killpg(lucky, signal.SIGCONT)
    wait_for(lambda: written(tmp_path, "works") == [first, str(lucky)])
    task["maxContainers"] = task["minContainers"] = 2
    with AgentProcess(tmp_path, [task], cap=3, **environ) as agent:
        agent.says("is frozen since an earlier agent")
        agent.says("2 are warm")
        os.killpg(other, signal.SIGCONT)
        agent.says("is unpaused from outside: it runs, and counts again")
        wait_for(lambda: len(written(tmp_path, "ends")) == 1, "for the grace of one that is too many")
        assert agent.stop() == 0
        assert "paused from outside: it keeps" not in agent.log()
    ended = sorted(written(tmp_path, "ends"))
    assert ended == sorted([first, str(lucky), str(other)]), "all that have worked had their grace"
