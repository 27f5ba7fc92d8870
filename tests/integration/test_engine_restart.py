"""The engine comes late, goes away, and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration import engines
from tests.integration.agents import AgentProcess, Queues, Witness, app, queue_app, wait_for


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
def test_it_comes_through_a_restart_of_the_engine(
    tmp_path: Path, own_engine: engines.OwnEngine, crash: bool
) -> None:
    queues = Queues(tmp_path)
    apps = [queue_app("restart-a", 1, queues), app("restart-b", 2)]
    queues.put("restart-a", 10_000)
    with AgentProcess(tmp_path, apps, cap=6, DOCKER_HOST=own_engine.host) as agent:
        client = engines.connect(own_engine.host)
        witness = Witness(client, "restart-")
        witness.wait(a=5, b=1)
        own_engine.kill() if crash else own_engine.stop()
        agent.says("cannot count the running containers")
        own_engine.start()
        wait_for(lambda: "can be counted again" in agent.log())
        witness.wait(a=5, b=1)
        assert agent.log().count("cannot count the running containers") == 1, "said once"
        assert "a container stays up" not in agent.log(), "what the engine ended is no failed start"
        assert agent.stop() == 0
        assert not witness.left()
        client.close()


def test_it_waits_for_an_engine_that_comes_late(tmp_path: Path, own_engine: engines.OwnEngine) -> None:
    own_engine.stop()
    with AgentProcess(tmp_path, [app("late-a", 1)], cap=2, DOCKER_HOST=own_engine.host) as agent:
        agent.says("waiting:")
        own_engine.start()
        client = engines.connect(own_engine.host)
        witness = Witness(client, "late-")
        witness.wait(a=2)
        said = [line for line in agent.log().splitlines() if "waiting:" in line]
        # An engine that is slow to begin takes the connection before it answers, which is another cause.
        assert len({line.partition("waiting:")[2] for line in said}) == len(said), "each cause once"
        assert agent.stop() == 0
        assert not witness.left()
        client.close()


def test_asked_to_stop_while_the_engine_is_away(tmp_path: Path) -> None:
    with AgentProcess(tmp_path, [app("away-a", 1)], DOCKER_HOST=f"unix://{tmp_path}/none.sock") as agent:
        agent.says("waiting:")
        assert agent.stop() == 0
