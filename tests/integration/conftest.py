"""A real Docker engine for the tests in this folder.

Without one they are skipped, and say why; with MSS_TEST_ENGINE=required, as in CI, they fail.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from tests.integration import engines, kinds
from tests.integration.agents import Witness
from tests.integration.engines import give_up

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def engine_to_ourselves() -> None:
    """One run of the tests at a time: an agent would take the containers of another for a second
    agent's, and hold all its tasks."""
    engines.keep_others_out()


@pytest.fixture(scope="session")
def prefix() -> str:
    """What the names of this run's tasks begin with."""
    return f"t{uuid.uuid4().hex[:6]}-"


@pytest.fixture(scope="session")
def engine_with_images(engine_to_ourselves: None) -> None:
    """An engine answers, has the test images, no agent at work on it, and no containers of an earlier
    run that was cut off."""
    try:
        client = engines.connect()
    except engines.Missing as missing:
        give_up(missing)
    try:
        engines.make_images(client)
        left = [c for c in engines.ours(client) if c["Image"].startswith("mss-test/")]
        engines.remove(client, left)
        others = {c["Labels"][engines.LABEL] for c in engines.ours(client) if c["State"] == "running"}
        if others:
            give_up(f"an agent is at work on this engine, it runs {', '.join(sorted(others))}")
    except engines.Missing as missing:
        give_up(missing)
    finally:
        client.close()


@pytest.fixture
def engine(engine_with_images: None, prefix: str) -> Iterator[APIClient]:
    """A client of the engine; afterwards no container of a task of this run is left."""
    client = engines.connect()
    yield client
    try:
        engines.remove(client, engines.ours(client, prefix))
    finally:
        client.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an engine takes longer than an agent waits, which is not what is tested."""
    monkeypatch.setattr("microscaling.scheduler.docker.names.CALL_S", 60.0)
    monkeypatch.setattr("microscaling.scheduler.docker.looks.LOOK_S", 60.0)
    monkeypatch.setattr("microscaling.scheduler.docker.looks.EXEC_S", 60.0)
    monkeypatch.setattr("microscaling.scheduler.docker.backend.CALL_TIMEOUT_S", 60)
    monkeypatch.setattr("microscaling.scheduler.containers.http_call.DEADLINE_S", 60.0)


@pytest.fixture
def witness(engine: APIClient, prefix: str) -> Iterator[Witness]:
    """What the engine says of the containers of this run, its events from now on included."""
    with Witness(engine, prefix) as witness:
        yield witness


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an engine of the kind that is the parameter; without one, that of this machine."""
    try:
        with kinds.running(getattr(request, "param", kinds.MACHINE)) as host:
            yield host
    except engines.Missing as missing:
        give_up(missing)


@pytest.fixture
def shared_engine(host: str) -> Iterator[APIClient]:
    """A client of the engine, on which agents of other tests may be at work: for containers that have not
    the label by which those find theirs."""
    with engines.client_with_images(host) as client:
        yield client


@pytest.fixture
def own_engine() -> Iterator[engines.OwnEngine]:
    """An engine for this test alone, started and with the test images, that may be restarted."""
    try:
        own = engines.OwnEngine()
    except engines.Missing as missing:
        give_up(missing)
    try:
        own.start()
        client = engines.connect(own.host)
        try:
            engines.make_images(client)
        finally:
            client.close()
        yield own
    except engines.Missing as missing:
        give_up(missing)
    finally:
        own.remove()
