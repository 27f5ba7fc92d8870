"""A container that cannot be ended, on a real engine: what matters gets its places all the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from microscaling.scheduler.docker.body import NONCE_LABEL
from tests.contract.proxy import Proxy
from tests.integration import engines
from tests.integration.agents import AgentProcess, Queues, Witness, app, queue_app

FREEZER = Path("/sys/fs/cgroup/freezer")
CAP = 6


@pytest.fixture
def client(own_engine: engines.OwnEngine) -> Iterator[APIClient]:
    client = engines.connect(own_engine.host)
    yield client
    client.close()


@pytest.fixture
def witness(client: APIClient, prefix: str) -> Iterator[Witness]:
    with Witness(client, prefix) as witness:
        yield witness


@pytest.fixture
def proxy(own_engine: engines.OwnEngine) -> Iterator[Proxy]:
    with Proxy(own_engine.host.removeprefix("unix://")) as proxy:
        yield proxy


def newest(client: APIClient, task: str) -> str:
    """The one of this task that would have to go first."""
    mine = [c for c in engines.ours(client, task) if c["State"] == "running"]
    return max(mine, key=lambda c: int(c["Labels"][NONCE_LABEL].rpartition("-")[2]))["Id"]


@contextlib.contextmanager
def frozen(client: APIClient, proxy: Proxy, id: str) -> Iterator[None]:
    """Its process is in a frozen cgroup of which the engine knows nothing: not even SIGKILL ends it."""
    pid = client.inspect_container(id)["State"]["Pid"]
    groups = dict(line.split(":")[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    group = FREEZER / groups["freezer"].lstrip("/") / "frozen"
    group.mkdir()
    try:
        (group / "tasks").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        yield
    finally:
        (group / "freezer.state").write_text("THAWED")


@contextlib.contextmanager
def silent(client: APIClient, proxy: Proxy, id: str) -> Iterator[None]:
    """What would end it is never answered, and never done."""
    proxy.deaf_to = lambda request: request.startswith((b"POST", b"DELETE")) and id.encode() in request
    yield
    proxy.deaf_to = lambda request: False


HOW = [
    pytest.param(
        frozen,
        id="frozen",
        marks=pytest.mark.skipif(not FREEZER.is_dir(), reason="it takes the freezer of cgroup v1"),
    ),
    pytest.param(silent, id="silent"),
]


@pytest.mark.parametrize("stuck", HOW)
@pytest.mark.parametrize(("most", "gets"), [(CAP, CAP - 1), (1, 1)], ids=["wants all", "wants one"])
def test_one_that_cannot_be_ended_starves_nobody(
    tmp_path: Path,
    client: APIClient,
    proxy: Proxy,
    prefix: str,
    witness: Witness,
    stuck,
    most: int,
    gets: int,
) -> None:
    queues = Queues(tmp_path)
    web = queue_app(f"{prefix}web", 1, queues, 10, minContainers=0, maxContainers=most)
    batch = app(f"{prefix}batch", 2, minContainers=0, maxContainers=CAP)
    host = f"tcp://127.0.0.1:{proxy.port}"
    with AgentProcess(tmp_path, [web, batch], CAP, DOCKER_HOST=host) as agent:
        witness.wait(web=0, batch=CAP)
        with stuck(client, proxy, newest(client, f"{prefix}batch")):
            queues.put(f"{prefix}web", 500)
            witness.wait(web=gets, batch=CAP - gets)
            agent.says(f"{prefix}batch: cannot stop")
            agent.says(f"less 1 of {prefix}batch not stopping")
        witness.wait(web=most, batch=CAP - most)
        assert agent.stop() == 0
    assert witness.most_at_once() == CAP, "the cap holds at every instant"
    assert not witness.left()
