"""Pulling at start, from a real registry."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import NotFound

from tests.integration import engines
from tests.integration.agents import AgentProcess, Witness, app, wait_for
from tests.integration.engines import give_up
from tests.integration.registries import RealRegistry

BYTES_A_SECOND = 150_000


@pytest.fixture
def registry(engine: APIClient, tmp_path: Path) -> Iterator[RealRegistry]:
    try:
        with RealRegistry(tmp_path) as real:
            yield real
    except engines.Missing as missing:
        give_up(missing)


@pytest.fixture
def name(engine: APIClient) -> Iterator[str]:
    """Of a repository that no other test uses; afterwards the engine has nothing of it."""
    name = f"mss-test/pulled-{uuid.uuid4().hex[:8]}"
    yield name
    for image in engine.images():
        for tag in image["RepoTags"] or ():
            if name in tag:
                with contextlib.suppress(NotFound):
                    engine.remove_image(tag, force=True)


@pytest.fixture
def image(engine: APIClient, registry: RealRegistry, name: str) -> str:
    """In the registry, and not here."""
    return registry.has(engine, "mss-test/sleeper", name)


def run(folder: Path, task: str, image: str) -> AgentProcess:
    return AgentProcess(folder, [app(task, 1, image, maxContainers=2)], MSS_PULL_IMAGES="true")


def test_what_is_not_here_is_pulled_first(engine: APIClient, tmp_path: Path, prefix: str, image: str) -> None:
    witness = Witness(engine, prefix)
    with run(tmp_path, f"{prefix}a", image) as agent:
        witness.wait(a=2)
        log = agent.log()
        assert log.index(f"pulling {image}") < log.index(f"pulled {image}")
        assert agent.stop() == 0


def test_a_pull_that_fails_is_a_warning_if_the_image_is_here(
    engine: APIClient, tmp_path: Path, prefix: str, image: str, registry: RealRegistry
) -> None:
    engine.pull(image)
    registry.stop()
    witness = Witness(engine, prefix)
    with run(tmp_path, f"{prefix}a", image) as agent:
        witness.wait(a=2)
        assert agent.log().count(f"could not pull {image}: ") == 1
        assert agent.stop() == 0


def test_a_pull_that_fails_is_no_end_if_the_image_is_not_here(
    engine: APIClient, tmp_path: Path, prefix: str, image: str, registry: RealRegistry
) -> None:
    """The task backs off until somebody puts the image there; others run."""
    registry.stop()
    witness = Witness(engine, prefix)
    apps = [app(f"{prefix}a", 1, image, maxContainers=1), app(f"{prefix}b", 2, maxContainers=2)]
    with AgentProcess(tmp_path, apps, MSS_PULL_IMAGES="true") as agent:
        witness.wait(b=2)
        agent.says("backing off")
        agent.says(f"image {image} is not on this engine")
        engine.tag("mss-test/sleeper", image)
        witness.wait(a=1)
        assert agent.stop() == 0


def test_what_was_not_to_be_had_at_the_start_is_pulled_later(
    engine: APIClient, tmp_path: Path, prefix: str, image: str, registry: RealRegistry
) -> None:
    registry.stop()
    witness = Witness(engine, prefix)
    apps = [app(f"{prefix}a", 1, image, maxContainers=2), app(f"{prefix}b", 2, maxContainers=2)]
    with AgentProcess(tmp_path, apps, MSS_PULL_IMAGES="true") as agent:
        witness.wait(a=0, b=2)
        agent.says("; trying again")
        registry.start()
        witness.wait(a=2, b=2)
        assert agent.log().count(f"image {image} is not on this engine") == 1
        assert agent.stop() == 0


def test_an_image_that_disappears_is_pulled_again(
    engine: APIClient, tmp_path: Path, prefix: str, image: str
) -> None:
    witness = Witness(engine, prefix)
    apps = [app(f"{prefix}a", 1, image, maxContainers=1), app(f"{prefix}b", 2, maxContainers=2)]
    with AgentProcess(tmp_path, apps, MSS_PULL_IMAGES="true") as agent:
        witness.wait(a=1, b=2)
        (before,) = witness.running(f"{prefix}a")
        engine.remove_image(image, force=True)
        engine.kill(before)
        wait_for(lambda: (now := witness.running(f"{prefix}a")) and now != [before], "for another one")
        witness.wait(a=1, b=2)
        log = agent.log()
        assert log.count(f"image {image} is no longer on this engine") == 1
        assert log.count(f"pulled {image}") == 2
        assert "of 3 before it backs off" not in log
        assert agent.stop() == 0


def test_what_is_not_to_be_pulled_is_said_once_and_waited_for(
    engine: APIClient, tmp_path: Path, prefix: str, image: str
) -> None:
    """Though the registry has an image of that name."""
    witness = Witness(engine, prefix)
    apps = [app(f"{prefix}a", 1, image, maxContainers=1), app(f"{prefix}b", 2, maxContainers=2)]
    with AgentProcess(tmp_path, apps, MSS_PULL_IMAGES="false") as agent:
        witness.wait(a=0, b=2)
        agent.says("MSS_PULL_IMAGES is off")
        engine.kill(witness.running(f"{prefix}b")[0])
        wait_for(lambda: len(witness.running(f"{prefix}b")) == 2, "for b to go on")
        engine.tag("mss-test/sleeper", image)
        witness.wait(a=1, b=2)
        complaints = [line for line in agent.log().splitlines() if image in line and "ERROR" in line]
        assert len(complaints) == 1, complaints
        assert "pulling" not in agent.log()
        assert agent.stop() == 0


@pytest.mark.parametrize("pulls", ["true", "false"])
def test_an_image_may_be_given_by_its_id(engine: APIClient, tmp_path: Path, prefix: str, pulls: str) -> None:
    """Nothing is pulled: a registry may have something else of that name."""
    id = engine.inspect_image("mss-test/sleeper")["Id"]
    short = id.removeprefix("sha256:")
    names = [id, short, short[:12], short[:9]]
    apps = [app(f"{prefix}{n}", 1, image, maxContainers=1) for n, image in enumerate(names)]
    witness = Witness(engine, prefix)
    with AgentProcess(tmp_path, apps, MSS_PULL_IMAGES=pulls) as agent:
        witness.wait(**{str(n): 1 for n in range(len(names))})
        assert agent.stop() == 0
    assert "ERROR" not in agent.log()
    assert "pull" not in agent.log()


def test_an_id_that_is_not_here_is_not_pulled(engine: APIClient, tmp_path: Path, prefix: str) -> None:
    apps = [app(f"{prefix}a", 1, "sha256:" + 64 * "0", maxContainers=1)]
    with AgentProcess(tmp_path, apps, MSS_PULL_IMAGES="true") as agent:
        agent.says("no registry has images by their id")
        assert "pulling" not in agent.log()
        assert agent.stop() == 0


@pytest.mark.parametrize("tag", ["", ":latest", ":v1"])
def test_a_name_is_looked_for_as_the_engine_understands_it(
    engine: APIClient, tmp_path: Path, prefix: str, name: str, tag: str
) -> None:
    engine.tag("mss-test/sleeper", f"{name}{tag}")
    witness = Witness(engine, prefix)
    with AgentProcess(tmp_path, [app(f"{prefix}a", 1, f"docker.io/{name}{tag}", maxContainers=1)]) as agent:
        witness.wait(a=1)
        assert agent.stop() == 0
    assert "ERROR" not in agent.log()


def test_another_tag_of_an_image_is_not_the_image(
    engine: APIClient, tmp_path: Path, prefix: str, name: str
) -> None:
    engine.tag("mss-test/sleeper", f"{name}:v1")
    with AgentProcess(tmp_path, [app(f"{prefix}a", 1, name, maxContainers=1)]) as agent:
        agent.says(f"image {name} is not on this engine")
        assert agent.log().count("ERROR") == 1
        assert agent.stop() == 0


def test_a_pull_that_takes_its_time_says_how_far_it_is(
    engine: APIClient, tmp_path: Path, prefix: str, registry: RealRegistry, name: str
) -> None:
    with engines.built(engine, name, "FROM mss-test/sleeper\nCOPY big /\n", big=os.urandom(2**20)):
        registry.has(engine, name, name)
    with SlowLine(registry.host) as line:
        image = f"{line.host}/{name}"
        with run(tmp_path, f"{prefix}a", image) as agent:
            agent.says(f"pulled {image}")
            told = re.findall(rf"pulling {re.escape(image)}: (\d+) of (\d+) MB", agent.log())
            assert told[-1][1] == "1"
            agent.stop()


class SlowLine:
    """A line to a server, over which little comes at a time."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listening.getsockname()[1]}"
        self.socks: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._accept, name="slow line")]

    def __enter__(self) -> SlowLine:
        self.threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self.listening, *self.socks):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for sock in (self.listening, *self.socks):
            sock.close()

    def _accept(self) -> None:
        host, _, port = self.to.partition(":")
        while True:
            try:
                near, _ = self.listening.accept()
                far = socket.create_connection((host, int(port)))
            except OSError:
                return
            self.socks += [near, far]
            for source, sink, rate in ((near, far, 1e9), (far, near, BYTES_A_SECOND)):
                self.threads.append(
                    threading.Thread(target=_carry, args=(source, sink, rate), name="slow line")
                )
                self.threads[-1].start()


def _carry(source: socket.socket, sink: socket.socket, rate: float) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(16384):
            sink.sendall(data)
            time.sleep(len(data) / rate)
        sink.shutdown(socket.SHUT_WR)
