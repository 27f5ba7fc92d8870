"""Two agents on one engine that share a state folder: one decides, the other takes over its containers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from tests.integration.agents import AgentProcess, Queues, Witness, queue_app
from tests.integration.engines import Missing, OwnEngine, connect, give_up, make_images

CAP = 6
HIGH, LOW = "two-high", "two-low"


@pytest.fixture(scope="module")
def own() -> Iterator[OwnEngine]:
    own = OwnEngine()
    try:
        own.start()
        with contextlib.closing(connect(own.host)) as client:
            make_images(client)
        yield own
    except Missing as missing:
        give_up(missing)
    finally:
        own.remove()


@pytest.fixture
def client(own: OwnEngine) -> Iterator[APIClient]:
    with contextlib.closing(connect(own.host)) as client:
        yield client


def test_the_second_takes_over_what_the_first_one_has_begun(
    own: OwnEngine, client: APIClient, tmp_path: Path
) -> None:
    """Killed in the middle of a change: nothing is lost, nothing is twice there, and nobody holds."""
    queues = Queues(tmp_path)
    apps = [queue_app(name, number, queues, maxContainers=CAP) for number, name in ((1, HIGH), (2, LOW))]
    for app in apps:
        app["ruleType"] = "PerContainer"
        del app["config"]["targetQueueLength"]
        app["config"] |= {"targetPerContainer": 1, "idleSeconds": 0}
    environ = {"DOCKER_HOST": own.host, "MSS_LEASE": "shop", "MSS_STATE_DIR": str(tmp_path / "state")}

    def agent() -> AgentProcess:
        return AgentProcess(tmp_path, apps, CAP, **environ)

    queues.put(LOW, CAP)
    with Witness(client, "two-") as witness, agent() as first:
        witness.wait(high=1, low=5)
        with agent() as second:
            second.says("stands by: another agent decides (process ")
            queues.put(HIGH, 4)
            first.says("two-high: 1 -> 4")
            first.kill()
            second.says("this agent has the lease, and decides from now on")
            witness.wait(high=4, low=2)
            queues.put(HIGH, 2)
            witness.wait(high=2, low=4)
            with agent() as third:
                third.says("stands by: another agent decides (process ")
                assert second.stop() == 0
                third.says("adopted running containers: 2 of two-high, 4 of two-low")
                queues.put(HIGH, 5)
                witness.wait(high=5, low=1)
                assert third.stop() == 0
                for each in (second, third):
                    assert "second agent" not in each.log()
        assert witness.most_at_once() <= CAP
        assert len(witness.left()) == CAP, "leave is the default with a lease"
        for id in witness.left():
            client.remove_container(id, force=True)
