"""A container that somebody has paused, on a real engine."""

from __future__ import annotations

from pathlib import Path

from docker import APIClient

from tests.integration.agents import AgentProcess, Queues, Witness, app, queue_app


def test_a_paused_one_is_no_capacity_and_stands_in_nobodys_way(
    tmp_path: Path, prefix: str, engine: APIClient, witness: Witness
) -> None:
    queues = Queues(tmp_path)
    apps = [queue_app(f"{prefix}web", 1, queues, maxContainers=6), app(f"{prefix}batch", 2)]
    with AgentProcess(tmp_path, apps, cap=6) as agent:
        witness.wait(web=1, batch=5)
        (only,) = witness.running(f"{prefix}web")
        engine.pause(only)
        agent.says(f"container {only[:12]} is paused from outside")
        witness.wait(web=1, batch=4)
        queues.put(f"{prefix}web", 1000)
        witness.wait(web=4, batch=1)
        queues.put(f"{prefix}web", 0)
        witness.wait(web=1, batch=4)
        assert only in witness.left()
        engine.unpause(only)
        agent.says("is no longer paused")
        witness.wait(web=1, batch=5)
        assert witness.running(f"{prefix}web") == [only], "the newest has gone"
        assert agent.stop() == 0
    assert witness.most_at_once() == 6, "the cap holds at every instant"
    assert not witness.left()
