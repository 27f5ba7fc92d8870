"""A web service with warm containers: they have no name while they are frozen, and no request is lost."""

from __future__ import annotations

import contextlib
from pathlib import Path

from docker import APIClient
from docker.errors import NotFound

from tests.integration.agents import AgentProcess, Witness, app, wait_for
from tests.integration.test_web_docker import UNLIST_S, client_of, image, network
from tests.integration.test_yield import frozen
from tests.services.numbers import Numbers

__all__ = ["image", "network"]


def listed(engine: APIClient, network: str, name: str) -> set[str]:
    """The ids of the containers that have the name of the task."""
    with contextlib.suppress(NotFound):
        found = {id: engine.inspect_container(id) for id in engine.inspect_network(network)["Containers"]}
        networks = {id: one["NetworkSettings"]["Networks"].get(network) or {} for id, one in found.items()}
        return {id for id, one in networks.items() if name in (one.get("Aliases") or ())}
    return set()


def test_warm_ones_get_their_name_when_they_go_on(
    engine: APIClient, witness: Witness, prefix: str, network: str, image: str, tmp_path: Path
) -> None:
    name = f"{prefix}web"
    with Numbers() as numbers:
        numbers.counts["web"] = 1
        config = {
            "networks": [network], "web": True, "unlistSeconds": UNLIST_S, "targetPerContainer": 1,
            "url": numbers.url("web"), "idleSeconds": 0, "warm": 2, "warmAfter": "healthy",
        }  # fmt: skip
        web = app(name, 1, image, ruleType="PerContainer", metricType="HTTP", config=config)
        web["scaleDownWindowSeconds"] = 0
        with AgentProcess(tmp_path, [web], cap=4, MSS_STATE_DIR=str(tmp_path / "state")) as agent:
            wait_for(lambda: len(frozen(engine, prefix)) == 2, "for two to be warm")
            wait_for(lambda: len(listed(engine, network, name)) == 1, "for the name of the one that works")
            warm = set(frozen(engine, prefix))
            assert not warm & listed(engine, network, name)
            with client_of(engine, network, name) as client:
                numbers.counts["web"] = 3
                wait_for(lambda: warm < listed(engine, network, name), "for the names of those that go on")
                wait_for(lambda: len({*engine.logs(client).splitlines()}) >= 3, "for all of them to answer")
                numbers.counts["web"] = 1
                wait_for(lambda: len(listed(engine, network, name)) == 1, "for the loss of their names")
                wait_for(lambda: len(frozen(engine, prefix)) == 2, "for two others to be warm")
                assert not warm & set(frozen(engine, prefix)), "what had a name is not frozen for the pool"
                lines = engine.logs(client).decode().splitlines()
            assert agent.stop() == 0
    assert [line for line in lines if not line.startswith("answer")] == []
    assert witness.most_awake() <= 4
    assert not witness.left()
