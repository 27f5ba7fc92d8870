"""The test images do what the tests count on, and an engine of one's own can be restarted."""

from __future__ import annotations

import os
import time

import pytest
from docker import APIClient

from tests.integration import engines
from tests.integration.engines import LABEL, OwnEngine, connect, engine_answers


def start(client: APIClient, image: str, task: str) -> str:
    host = client.create_host_config(network_mode="host")
    made = client.create_container(image, labels={LABEL: task}, host_config=host)
    client.start(made["Id"])
    return str(made["Id"])


@pytest.mark.parametrize(
    ("image", "exit_code"),
    [
        ("mss-test/sleeper", 0),
        ("mss-test/exits", 3),
        ("mss-test/stubborn", 137),  # killed after the grace
    ],
)
def test_the_images_end_as_they_are_meant_to(engine: APIClient, prefix: str, image: str, exit_code: int):
    id = start(engine, image, f"{prefix}ends")
    deadline = time.monotonic() + 30
    while image == "mss-test/sleeper" and time.monotonic() < deadline and not engine.top(id)["Processes"][1:]:
        time.sleep(0.05)  # the shell has its trap before it has a child
    # On a busy machine the shell may come to its trap later than a second after the signal.
    engine.stop(id, timeout=1 if image == "mss-test/stubborn" else 30)
    assert engine.wait(id, timeout=30)["StatusCode"] == exit_code


def test_what_is_left_is_removed_by_its_prefix(engine: APIClient, prefix: str):
    id, other = (
        start(engine, "mss-test/sleeper", f"{prefix}mine"),
        start(engine, "mss-test/exits", f"{prefix}x"),
    )
    engines.remove(engine, engines.ours(engine, f"{prefix}mine"))
    assert [c["Id"] for c in engines.ours(engine, prefix)] == [other]
    assert id != other


def test_an_engine_that_is_not_there_does_not_answer(engine: APIClient):
    assert engine_answers()
    assert not engine_answers("unix:///nowhere/docker.sock")


def test_an_own_engine_can_be_restarted(own_engine: OwnEngine):
    client = connect(own_engine.host)
    start(client, "mss-test/sleeper", "a")
    client.close()
    own_engine.stop()
    assert not engine_answers(own_engine.host)
    own_engine.start()
    assert engine_answers(own_engine.host)
    client = connect(own_engine.host)
    assert [c["State"] for c in engines.ours(client)] == ["exited"]
    client.close()


def test_an_own_engine_leaves_the_network_of_the_machine_alone(own_engine: OwnEngine):
    assert own_engine.process is not None
    namespaces = [os.readlink(f"/proc/{pid}/ns/net") for pid in ("self", own_engine.process.pid)]
    assert namespaces[0] != namespaces[1]


def test_of_an_own_engine_that_crashed_nothing_is_left(own_engine: OwnEngine):
    client = connect(own_engine.host)
    start(client, "mss-test/stubborn", "a")
    client.close()
    own_engine.kill()
    assert own_engine.helpers(), "the container runs on"
    own_engine.remove()
    assert not own_engine.helpers()
    assert not own_engine.folder.exists()
