"""The suite of schedulers on other engines than that of this machine. Faults aside, which stand between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import APIClient

from tests.contract.test_schedulers import (  # noqa: F401
    outside,
    test_a_hand_over_keeps_to_the_cap,
    test_adopts_what_is_there_and_touches_nothing_before_the_first_decision,
    test_leave_leaves_all_for_the_next_one_to_adopt,
    test_runs_as_many_as_are_demanded,
    test_what_is_lost_is_replaced,
)
from tests.integration import engines, kinds

pytestmark = [
    pytest.mark.usefixtures("host"),
    pytest.mark.parametrize("host", [kinds.MOBY_2, kinds.PODMAN], indirect=True),
    pytest.mark.parametrize("case", ["DOCKER", "COMPOSE"], indirect=True),
]


@pytest.fixture
def engine(host: str) -> Iterator[APIClient]:
    with engines.client_with_images(host) as client:
        yield client
        engines.remove(client, engines.ours(client))


@pytest.fixture
def shared_engine(engine: APIClient) -> APIClient:
    return engine
