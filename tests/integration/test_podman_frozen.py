"""Frozen and warm containers on a real Podman: the tests of a Docker engine, and what differs."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker import APIClient

from microscaling.control.client import ask
from microscaling.control.place import found_sockets
from microscaling.demand.task import Task
from microscaling.demand.warm import Warm
from microscaling.scheduler.docker.backend import DockerBackend
from tests.integration import engines
from tests.integration.agents import AgentProcess, Queues, Witness, app, queue_app, wait_for
from tests.integration.composes import project  # noqa: F401
from tests.integration.podman import OwnPodman, started
from tests.integration.test_compose_warm import (  # noqa: F401
    test_copies_are_warm_and_what_compose_made_is_told_go,
)
from tests.integration.test_compose_yield import (  # noqa: F401
    test_copies_are_frozen_and_go_on_and_what_compose_made_is_not,
)
from tests.integration.test_docker_handshake import (  # noqa: F401
    HEALTH,
    backend,
    in_it,
    is_ready,
    run,
    test_a_program_that_stops_itself,
    test_a_signal,
    test_one_that_has_just_ended_is_not_ready,
    test_pid_1_cannot_stop_itself,
)
from tests.integration.test_paused import (  # noqa: F401
    test_a_paused_one_is_no_capacity_and_stands_in_nobodys_way,
)
from tests.integration.test_podman import podman  # noqa: F401
from tests.integration.test_warm import test_warm_ones_go_first_and_the_cap_holds  # noqa: F401
from tests.integration.test_yield import (  # noqa: F401
    LONG,
    frozen,
    test_a_hand_over_there_and_back_keeps_containers_and_cap,
    test_the_next_agent_knows_its_own_from_those_of_others,
)


@pytest.fixture
def host(podman: OwnPodman, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: F811
    """For the agents and backends of these tests, too."""
    monkeypatch.setenv("DOCKER_HOST", podman.host)
    return podman.host


@pytest.fixture
def engine(host: str) -> Iterator[APIClient]:
    client = engines.connect(host)
    yield client
    engines.remove(client, engines.ours(client))
    client.close()


def pin(agent: AgentProcess, task: str, containers: str) -> None:
    """An order of a person to this agent."""
    (path,) = (one for one in found_sockets(agent.environ) if one.endswith(f"-{agent.process.pid}.sock"))
    ask(path, "POST /pin", task=task, containers=containers)


def test_what_has_been_frozen_for_too_long_ends(
    tmp_path: Path, prefix: str, engine: APIClient, witness: Witness
) -> None:
    """Podman stops nothing that is paused: it goes on first, or is removed as it is."""
    queues = Queues(tmp_path)
    web = queue_app(f"{prefix}web", 1, queues, maxContainers=4)
    batch = app(f"{prefix}batch", 2, maxContainers=5, config={"yield": "pause"})
    with AgentProcess(tmp_path, [web, batch], cap=6) as agent:
        witness.wait(web=1, batch=5)
        queues.put(f"{prefix}web", LONG)
        witness.wait(web=4, batch=2)
        # Only now: where it takes Podman longer to create the others, there would be places meanwhile.
        batch["config"]["yieldSeconds"] = 2
        agent.config.write_text(json.dumps({"maxContainers": 6, "apps": [web, batch]}))
        agent.process.send_signal(signal.SIGHUP)
        agent.says("after it was frozen: there is no place to let it end", times=3)
        wait_for(lambda: len(witness.left()) == 6, "for them to go")
        queues.put(f"{prefix}web", 0)
        witness.wait(web=1, batch=5)
        pin(agent, f"{prefix}batch", "3")
        wait_for(lambda: len(witness.left()) == 4, "for two to be frozen, to go on, and to end")
        assert agent.log().count("there is no place") == 3
        assert agent.stop() == 0
    assert witness.most_awake() == 6
    assert not witness.left()


@pytest.fixture
def podman_of_one_test() -> Iterator[OwnPodman]:
    with started() as own:
        yield own


def test_a_service_that_is_started_anew(tmp_path: Path, prefix: str, podman_of_one_test: OwnPodman) -> None:
    queues, own = Queues(tmp_path), podman_of_one_test
    engine = engines.connect(own.host)
    batch = app(f"{prefix}batch", 2, config={"yield": "pause"})
    witness = Witness(engine, prefix)
    apps = [queue_app(f"{prefix}web", 1, queues), batch]
    with AgentProcess(tmp_path, apps, cap=6, DOCKER_HOST=own.host) as agent:
        witness.wait(web=1, batch=5)
        queues.put(f"{prefix}web", LONG)
        witness.wait(web=5, batch=1)
        wait_for(lambda: len(frozen(engine, prefix)) == 4, "for four to be frozen")
        ours = set(frozen(engine, prefix))
        own.stop()
        agent.says("cannot count the running containers")
        own.start()
        agent.says("can be counted again")
        assert set(frozen(engine, prefix)) == ours
        queues.put(f"{prefix}web", 0)
        witness.wait(web=1, batch=5)
        assert ours < set(witness.running(f"{prefix}batch"))
        assert agent.stop() == 0
    assert not witness.left()
    engine.close()


def test_the_files_and_the_memory(
    backend: DockerBackend,  # noqa: F811
    run: Callable[..., tuple[Task, str]],  # noqa: F811
) -> None:
    """But for a folder that is not there: Podman makes it."""
    task, id = run(Warm(1, "/tmp/ready", file="/new/go"))
    assert not is_ready(backend, task, id)
    assert in_it(backend, id, "touch /tmp/ready")
    assert is_ready(backend, task, id)
    for _ in range(2):
        backend.say_go(task, id)
        assert in_it(backend, id, "test -e /new/go")
    backend.freeze(id)
    assert backend.memory(id) > 0
    backend.thaw(id)
    backend.stop(id, 5)
    backend.start(id)
    assert not is_ready(backend, task, id), "the file is of its earlier life"


def test_healthy_is_what_podman_says(
    backend: DockerBackend,  # noqa: F811
    run: Callable[..., tuple[Task, str]],  # noqa: F811
    podman: OwnPodman,  # noqa: F811
) -> None:
    """Timers of systemd ask `podman healthcheck run`; here there are none."""
    task, id = run(Warm(1, file="/tmp/go"), Healthcheck=HEALTH)
    assert in_it(backend, id, "touch /healthy")
    assert not is_ready(backend, task, id)
    podman.run("healthcheck", "run", id)
    assert is_ready(backend, task, id)
