"""Containers that are frozen in place of being stopped, on a real engine."""

from __future__ import annotations

from pathlib import Path

from docker import APIClient

from tests.integration import engines
from tests.integration.agents import AgentProcess, Queues, Witness, app, queue_app, wait_for

LONG = 1000


def frozen(client: APIClient, prefix: str) -> list[str]:
    return [c["Id"] for c in engines.ours(client, prefix) if c["State"] == "paused"]


def test_a_hand_over_there_and_back_keeps_containers_and_cap(
    tmp_path: Path, prefix: str, engine: APIClient, witness: Witness
) -> None:
    queues = Queues(tmp_path)
    batch = app(f"{prefix}batch", 2, config={"yield": "pause", "yieldPaused": 3})
    with AgentProcess(tmp_path, [queue_app(f"{prefix}web", 1, queues), batch], cap=6) as agent:
        witness.wait(web=1, batch=5)
        before = set(witness.running(f"{prefix}batch"))
        queues.put(f"{prefix}web", LONG)
        witness.wait(web=5, batch=1)
        wait_for(lambda: len(frozen(engine, prefix)) == 3, "for three to be frozen, and one to be stopped")
        assert set(frozen(engine, prefix)) < before
        queues.put(f"{prefix}web", 0)
        witness.wait(web=1, batch=5)
        assert len(before & set(witness.running(f"{prefix}batch"))) == 4, "the frozen ones go on"
        assert frozen(engine, prefix) == []
        queues.put(f"{prefix}web", LONG)
        witness.wait(web=5, batch=1)
        assert agent.stop() == 0
    assert witness.most_awake() == 6, "the cap holds at every instant"
    assert not witness.left(), "the frozen ones have ended, too"


def test_the_next_agent_knows_its_own_from_those_of_others(
    tmp_path: Path, prefix: str, engine: APIClient, witness: Witness
) -> None:
    queues = Queues(tmp_path)
    batch = app(f"{prefix}batch", 2, config={"yield": "pause", "yieldSeconds": 600})
    apps, state = [queue_app(f"{prefix}web", 1, queues), batch], str(tmp_path / "state")
    with AgentProcess(tmp_path, apps, cap=6, MSS_STATE_DIR=state) as agent:
        witness.wait(web=1, batch=5)
        queues.put(f"{prefix}web", LONG)
        witness.wait(web=5, batch=1)
        ours = set(frozen(engine, prefix))
        agent.kill()
    (theirs,) = witness.running(f"{prefix}batch")
    engine.pause(theirs)
    with AgentProcess(tmp_path, apps, cap=6, MSS_STATE_DIR=state) as agent:
        agent.says("is frozen since an earlier agent", times=4)
        agent.says(f"container {theirs[:12]} is paused from outside")
        queues.put(f"{prefix}web", 0)
        witness.wait(web=1, batch=4)
        assert set(witness.running(f"{prefix}batch")) == ours
        assert frozen(engine, prefix) == [theirs]
        assert agent.stop() == 0
    assert witness.most_awake() == 6
    assert not witness.left()
