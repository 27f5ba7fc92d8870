"""Local processes that are frozen, or wait for go, while their configuration changes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from microscaling.utils.process import snapshot
from tests.integration.agents import AgentProcess, wait_for

BY_FILE = (
    ': >"$MSS_READY_FILE"; until [ -e "$MSS_GO_FILE" ]; do sleep 0.05; done; echo $$ >>{0}/works; '
    "exec sleep 600"
)
YIELDS = {"yield": "pause", "yieldPaused": 3}
GRACE = 'trap "echo $$ >>{0}/ends; exit" TERM; echo $$ >>{0}/works; while :; do sleep 0.05; done'


def app(name: str, count: int, script: str, priority: int = 1, **config: Any) -> dict[str, Any]:
    return {
        "name": name,
        "priority": priority,
        "minContainers": count,
        "maxContainers": count,
        # A busy machine may take longer than the usual second.
        "config": {"command": f"sh -c '{script}'", "stopGraceSeconds": 30, **config},
    }


def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "MSS_SCHEDULER": "PROCESS",
        "MSS_STATE_DIR": str(tmp_path / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }


def reload(agent: AgentProcess, *apps: dict[str, Any], cap: int = 10) -> None:
    before = agent.log().count("reload: ")
    agent.config.write_text(json.dumps({"maxContainers": cap, "apps": apps}))
    agent.process.send_signal(signal.SIGHUP)
    wait_for(lambda: agent.log().count("reload: ") > before)


def written(tmp_path: Path, name: str) -> list[str]:
    path = tmp_path / name
    return path.read_text().split() if path.exists() else []


def stopped(pids: list[str]) -> list[str]:
    rows = snapshot()
    return [pid for pid in pids if int(pid) in rows and rows[int(pid)].stopped]


def left_by_a_killed_agent(tmp_path: Path, script: str) -> list[str]:
    """Returns the pids of one of `b` that runs, and two that are frozen."""
    with AgentProcess(tmp_path, [app("b", 3, script, **YIELDS)], **environ(tmp_path)) as agent:
        pids = wait_for(lambda: len(written(tmp_path, "works")) == 3 and written(tmp_path, "works"))
        reload(agent, app("b", 1, script, **YIELDS))
        wait_for(lambda: len(stopped(pids)) == 2)
        agent.kill()
    return pids


def test_yield_that_comes_with_a_reload(tmp_path: Path) -> None:
    script = GRACE.format(tmp_path)
    with AgentProcess(tmp_path, [app("b", 3, script)], **environ(tmp_path)) as agent:
        pids = wait_for(lambda: len(written(tmp_path, "works")) == 3 and written(tmp_path, "works"))
        reload(agent, app("b", 3, script, **YIELDS))
        reload(agent, app("b", 1, script, **YIELDS))
        wait_for(lambda: len(stopped(pids)) == 2)
        for cap in (9, 10):  # each of them lists the processes
            reload(agent, app("b", 1, script, **YIELDS), cap=cap)
        assert len(stopped(pids)) == 2
        reload(agent, app("b", 3, script, **YIELDS))
        wait_for(lambda: len(stopped(pids)) == 0)
        assert sorted(written(tmp_path, "works")) == sorted(pids)
        assert "from outside" not in agent.log()
        assert agent.stop() == 0
    assert sorted(written(tmp_path, "ends")) == sorted(pids)


def test_yield_that_is_taken_away(tmp_path: Path) -> None:
    script = GRACE.format(tmp_path)
    with AgentProcess(tmp_path, [app("b", 3, script, **YIELDS)], **environ(tmp_path)) as agent:
        pids = wait_for(lambda: len(written(tmp_path, "works")) == 3 and written(tmp_path, "works"))
        reload(agent, app("b", 1, script, **YIELDS))
        wait_for(lambda: len(stopped(pids)) == 2)
        reload(agent, app("b", 1, script))
        wait_for(lambda: len(stopped(pids)) == 0)
        wait_for(lambda: len(written(tmp_path, "ends")) == 2)
        assert agent.stop() == 0
    assert sorted(written(tmp_path, "ends")) == sorted(pids)


def test_yield_that_is_taken_away_while_no_agent_runs(tmp_path: Path) -> None:
    script = GRACE.format(tmp_path)
    pids = left_by_a_killed_agent(tmp_path, script)
    with AgentProcess(tmp_path, [app("b", 1, script)], **environ(tmp_path)) as agent:
        wait_for(lambda: len(written(tmp_path, "ends")) == 2)
        assert agent.stop() == 0
    assert sorted(written(tmp_path, "ends")) == sorted(pids)


def test_go_that_changes(tmp_path: Path) -> None:
    script = BY_FILE.format(tmp_path)
    shake = {
        "warmAfter": {"file": f"{tmp_path}/ready-{{number}}"},
        "go": {"file": f"{tmp_path}/go-{{number}}"},
    }
    other = {**shake, "go": {"file": f"{tmp_path}/other-{{number}}"}}
    slow = "sleep 3; " + script
    with AgentProcess(tmp_path, [app("b", 1, slow, warm=1, **shake)], **environ(tmp_path)) as agent:
        agent.says("1 is warm")
        wait_for(lambda: len(written(tmp_path, "works")) == 1)
        reload(agent, app("b", 3, slow, warm=1, **other))
        wait_for(lambda: len(set(written(tmp_path, "works"))) == 4)
        assert agent.stop() == 0


def test_a_task_that_goes_with_frozen_ones(tmp_path: Path) -> None:
    script = GRACE.format(tmp_path)
    batch = app("b", 4, script, priority=2, **YIELDS)
    with AgentProcess(tmp_path, [batch], **environ(tmp_path)) as agent:
        wait_for(lambda: len(written(tmp_path, "works")) == 4)
        web = app("a", 3, "exec sleep 600")
        reload(agent, web, {**batch, "minContainers": 0}, cap=4)
        wait_for(lambda: len(stopped(written(tmp_path, "works"))) == 3)
        agent.says("a: 0 -> 3")
        reload(agent, web, cap=4)
        wait_for(lambda: "1 running, of the task" in agent.log())
        assert "and they take 1 of the 4 places" in agent.log()
        reload(agent, {**web, "priority": 3}, cap=4)
        assert "a: 3 -> " not in agent.log(), "what is frozen takes no place from it"
        assert len(stopped(written(tmp_path, "works"))) == 3, "and goes on only where there is one"
        reload(agent, web, {**batch, "minContainers": 0}, cap=4)  # else what is left behind stays for ever
        assert agent.stop() == 0


def test_the_command_that_ends_what_an_earlier_agent_has_frozen(tmp_path: Path) -> None:
    script = GRACE.format(tmp_path)
    pids = left_by_a_killed_agent(tmp_path, script)
    with AgentProcess(tmp_path, [app("a", 0, script)], **environ(tmp_path)) as agent:
        agent.says("ends them")
        (command,) = re.findall(r"meanwhile; `(.*?)` ends them", agent.log())
        subprocess.run(command, shell=True, check=True)
        wait_for(lambda: sorted(written(tmp_path, "ends")) == sorted(pids))
        assert agent.stop() == 0
