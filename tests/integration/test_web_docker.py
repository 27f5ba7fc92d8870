"""The DOCKER scheduler and a web service on a network of its own: no request of its clients is lost."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from tests.integration import engines
from tests.integration.agents import ROOT, AgentProcess, Witness, app, wait_for
from tests.services.numbers import Numbers
from tests.web.stage import PYTHON, need_images, subnet

CLIENT = """
import http.client, itertools, random, socket, sys, threading
def ask(path):
    try:
        address = random.choice(socket.gethostbyname_ex(sys.argv[1])[2])
        connection = http.client.HTTPConnection(address, 80, timeout=30)
        connection.request("GET", path)
        sys.stdout.write("answer " + connection.getresponse().read().decode().split()[-1] + chr(10))
    except OSError as error:
        sys.stdout.write(f"failed {path}: {error!r}{chr(10)}")
def go_on():
    for path in itertools.cycle(["/fast", "/fast", "/slow"]):
        ask(path)
for _ in range(4):
    threading.Thread(target=go_on).start()
"""
"""Asks for the name and opens a connection for each request, with nothing in between."""
UNLIST_S = 6
"""The longest request takes 2 s; on a busy machine its client may come late with it."""


@pytest.fixture
def network(engine: APIClient, prefix: str) -> Iterator[str]:
    name = f"{prefix}{uuid.uuid4().hex[:6]}"
    engine.create_network(name, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet())]))
    try:
        yield name
    finally:
        engines.remove(engine, engines.ours(engine, prefix))
        engine.remove_network(name)


@pytest.fixture
def image(engine: APIClient) -> Iterator[str]:
    """A server that drops everything at SIGTERM."""
    need_images(engine)
    dockerfile = f'FROM {PYTHON}\nCOPY server.py /\nEXPOSE 80\nCMD ["python3", "/server.py", "dies"]\n'
    server = (ROOT / "tests/web/server.py").read_bytes()
    with engines.built(
        engine, f"mss-test/web-{uuid.uuid4().hex[:8]}", dockerfile, **{"server.py": server}
    ) as made:
        yield made


@contextlib.contextmanager
def client_of(engine: APIClient, network: str, name: str) -> Iterator[str]:
    """A client in a container of its own: its id."""
    host = engine.create_host_config(network_mode=network)
    id = engine.create_container(PYTHON, ["python3", "-uc", CLIENT, name], host_config=host)["Id"]
    try:
        engine.start(id)
        yield id
    finally:
        with contextlib.suppress(NotFound):
            engine.remove_container(id, force=True)


def test_no_request_is_lost_while_containers_come_and_go(
    engine: APIClient, witness: Witness, prefix: str, network: str, image: str, tmp_path: Path
) -> None:
    name = f"{prefix}web"
    with Numbers() as numbers:
        numbers.counts["web"] = 1
        config = {
            "networks": [network], "web": True, "unlistSeconds": UNLIST_S, "targetPerContainer": 1,
            "url": numbers.url("web"), "idleSeconds": 0,
        }  # fmt: skip
        web = app(
            name,
            1,
            image,
            ruleType="PerContainer",
            metricType="HTTP",
            config=config,
            scaleDownWindowSeconds=0,
        )
        with AgentProcess(tmp_path, [web], MSS_STATE_DIR=str(tmp_path / "state")) as agent:

            def listed() -> int:
                """How many containers have the name of the task."""
                found = engine.inspect_network(network)["Containers"]
                inspected = [engine.inspect_container(id) for id in found]
                aliases = [one["NetworkSettings"]["Networks"][network]["Aliases"] or () for one in inspected]
                return sum(name in each for each in aliases)

            def reaches(count: int) -> None:
                def is_so() -> bool:
                    with contextlib.suppress(NotFound, KeyError):
                        return (len(witness.running(name)), listed()) == (count, count)
                    return False

                wait_for(is_so, f"for {count} that are listed", within_s=120)

            reaches(1)
            with client_of(engine, network, name) as client:
                numbers.counts["web"] = 3
                reaches(3)
                wait_for(lambda: len({*engine.logs(client).splitlines()}) >= 3, "for all of them to answer")
                numbers.counts["web"] = 1
                reaches(1)
                lines = engine.logs(client).decode().splitlines()
            assert agent.stop() == 0
            assert "without being unlisted" not in agent.log()
            assert agent.log().count(f"is unlisted, and stops in {UNLIST_S} s") >= 2
    assert [line for line in lines if not line.startswith("answer")] == []
    assert not witness.left()
