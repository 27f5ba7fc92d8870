"""Containers of tasks that are no more, on a real engine, with agents that are started, killed and left."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from microscaling.scheduler.containers.driver import LIST_EVERY_S
from microscaling.scheduler.containers.orphans import PATIENCE_S
from tests.integration import engines
from tests.integration.agents import AgentProcess, Witness, app, wait_for

AGENT_LABEL = "com.microscaling.agent"
PLAIN: dict[str, Any] = {"config": {"networkMode": "none"}}


def run(folder: Path, *apps: dict[str, Any], cap: int = 6, **environ: str) -> AgentProcess:
    """An agent that leaves what runs, with its own state folder beside its configuration."""
    state = {"MSS_STATE_DIR": str(folder / "state"), "MSS_ON_EXIT": "leave"}
    return AgentProcess(folder, [*apps], cap, **(state | environ))


def left_behind(folder: Path, witness: Witness, task: str, count: int, how: str) -> None:
    """So many of a task, of an agent that has ended."""
    with run(folder, app(witness.prefix + task, 1, maxContainers=count, **PLAIN)) as agent:
        witness.wait(**{task: count})
        if how == "killed":
            agent.kill()
        else:
            assert agent.stop() == 0


@pytest.mark.parametrize("how", ["killed", "left"])
def test_they_stay_and_count_under_the_cap(witness: Witness, tmp_path: Path, prefix: str, how: str) -> None:
    """6 became 12."""
    left_behind(tmp_path, witness, "old", 4, how)
    with run(tmp_path, app(f"{prefix}new", 1, maxContainers=6, **PLAIN)) as agent:
        witness.wait(old=4, new=2)
        agent.says(f'4 running, of the task "{prefix}old" that is not in the configuration')
        assert "they take 4 of the 6 places under the cap" in agent.log()
        (command,) = re.findall(r"`(docker .*?)` ends them", agent.log())
        subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
        witness.wait(old=0, new=6)
        assert agent.stop() == 0
    assert witness.most_at_once() == 6


def test_they_are_stopped_if_asked_for(witness: Witness, tmp_path: Path, prefix: str) -> None:
    left_behind(tmp_path, witness, "old", 6, "killed")
    with run(tmp_path, app(f"{prefix}new", 1, maxContainers=6, **PLAIN), MSS_ORPHANS="stop") as agent:
        witness.wait(old=0, new=6)
        wait_for(lambda: len(witness.left()) == 6, "for them to be removed")
        assert "MSS_ORPHANS=stop: they are stopped" in agent.log()
        assert agent.stop() == 0
    assert witness.most_at_once() == 6


@pytest.mark.parametrize("state", ["one folder", "two folders"])
def test_agents_with_other_tasks_share_an_engine(
    engine: APIClient, tmp_path: Path, prefix: str, state: str
) -> None:
    """Each with a cap of its own; neither touches what the other has made or adopted, even if it dies."""
    witness = Witness(engine, prefix)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    where = [tmp_path, tmp_path] if state == "one folder" else folders
    options = [{"MSS_STATE_DIR": str(folder / "state"), "MSS_ORPHANS": "stop"} for folder in where]
    a, b = (app(f"{prefix}{name}", 1, maxContainers=4, **PLAIN) for name in "ab")
    with run(folders[0], a, cap=4, **options[0]) as first:
        witness.wait(a=4)
        first.kill()
        with (
            run(folders[0], a, cap=4, **options[0]) as first,
            run(folders[1], b, cap=4, **options[1]) as second,
        ):
            witness.wait(a=4, b=4)
            before = set(witness.running())
            second.says("another agent")
            time_for_a_few_listings(first, second)
            first.kill()
            witness.wait(a=4, b=4)
            time_for_a_few_listings(second)
            assert set(witness.running()) == before
            assert second.stop() == 0


def time_for_a_few_listings(*agents: AgentProcess) -> None:
    """In which one that takes the others' containers for orphans would stop them."""
    time.sleep(PATIENCE_S + 2 * LIST_EVERY_S)
    assert all(agent.process.poll() is None for agent in agents)


@pytest.mark.parametrize("orphans", ["keep", "stop"])
def test_what_carries_no_id_is_counted_and_never_stopped(
    engine: APIClient, tmp_path: Path, prefix: str, orphans: str
) -> None:
    witness = Witness(engine, prefix)
    by_hand(engine, f"{prefix}old", 2)
    with run(tmp_path, app(f"{prefix}new", 1, maxContainers=6, **PLAIN), MSS_ORPHANS=orphans) as agent:
        witness.wait(old=2, new=4)
        agent.says("no agent's id is on them")
        by_hand(engine, f"{prefix}old", 1)
        witness.wait(old=3, new=6)  # whoever makes them is at work
        assert agent.stop() == 0


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_label_that_names_no_task_hinders_nobody(
    engine: APIClient, tmp_path: Path, prefix: str, value: str
) -> None:
    made = by_hand(engine, value, 1)
    witness = Witness(engine, prefix)
    try:
        with run(tmp_path, app(f"{prefix}a", 1, maxContainers=2, **PLAIN), MSS_ON_EXIT="stop") as agent:
            witness.wait(a=2)
            engine.kill(witness.running(f"{prefix}a")[0])
            agent.says("exit code 137")
            witness.wait(a=2)
            log = agent.log()
            assert log.count("names no task") == 1
            assert log.count(made[0][:12]) == 2  # who, and how to end it
            assert agent.stop() == 0
        assert engine.inspect_container(made[0])["State"]["Running"]
    finally:
        for id in made:
            engine.remove_container(id, force=True)


def by_hand(engine: APIClient, task: str, count: int) -> list[str]:
    made = []
    host = engine.create_host_config(network_mode="none")
    for _ in range(count):
        labels = {engines.LABEL: task}
        made.append(engine.create_container("mss-test/sleeper", labels=labels, host_config=host)["Id"])
        engine.start(made[-1])
    return made


def test_every_container_says_which_agent_made_it(engine: APIClient, tmp_path: Path, prefix: str) -> None:
    witness = Witness(engine, prefix)
    for _ in range(2):
        with run(tmp_path, app(f"{prefix}a", 1, maxContainers=2, **PLAIN), MSS_ON_EXIT="stop") as agent:
            witness.wait(a=2)
            ids = {c["Labels"][AGENT_LABEL] for c in engines.ours(engine, prefix)}
            assert ids == {path.stem for path in (tmp_path / "state/agents").glob("*.json")}
            assert agent.stop() == 0
