"""Local processes that are started ahead, stopped, and told go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.demand.warm import Warm
from microscaling.errors import NotReady, PermanentError
from microscaling.scheduler.process.backend import ProcessBackend
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


def make(tmp_path: Path, script: str, signal: str = "") -> Task:
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
