"""Every backend of a kind, one after the other, for the suites in this folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.contract.schedulers import CASES, Case
from tests.contract.swarm import Swarm, swarm_of_one

# A real engine for the DOCKER case; without one it is skipped, and says why.
from tests.integration.conftest import (  # noqa: F401
    engine,
    engine_to_ourselves,
    engine_with_images,
    host,
    prefix,
    shared_engine,
)
from tests.integration.engines import Missing, OwnEngine, give_up

MARKS = {name: [pytest.mark.integration] for name in ("COMPOSE", "DOCKER", "SWARM")}
CASES["SWARM"] = Swarm


@pytest.fixture(scope="session")
def swarm_engine() -> Iterator[OwnEngine]:
    """A swarm of one node, which the tests share."""
    try:
        with swarm_of_one() as own:
            yield own
    except Missing as missing:
        give_up(missing)


@pytest.fixture(scope="session", autouse=True)
def swarm_in_time(request: pytest.FixtureRequest) -> None:
    """It is started before a test looks at what there is, so that none takes it for left behind."""
    if any("[SWARM" in item.nodeid for item in request.session.items):
        with contextlib.suppress(pytest.skip.Exception):
            request.getfixturevalue("swarm_engine")


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, [])) for name in CASES])
def case(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Case]:
    """A scheduler of each kind, and what it talks to."""
    made = CASES[request.param](request)
    yield made
    made.close()
    # An error in a record holds on to where it was raised, and with that to connections.
    caplog.get_records("call").clear()


@pytest.fixture(scope="session", autouse=True)
def real_kubernetes_in_time(request: pytest.FixtureRequest) -> None:
    """It is started before a test looks at what there is, so that none takes it for left behind."""
    if any("KUBERNETES-REAL" in item.nodeid for item in request.session.items):
        with contextlib.suppress(pytest.skip.Exception):
            request.getfixturevalue("real_kubernetes")
