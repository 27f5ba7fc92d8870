"""Servers for the tests: one that most share, and those that a test starts as it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.running import Running
from tests.services.patience import time_for_answers  # noqa: F401

Start = Callable[..., Running]
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server without a token for all tests of a module; each uses users of its own."""
    running = Running(tmp_path_factory.mktemp("server"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same with a token."""
    running = Running(tmp_path_factory.mktemp("guarded"), MSS_SERVER_TOKEN=TOKEN)
    yield running
    assert running.stop() == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers in the test's own folder, one after the other on the same store."""
    started: list[Running] = []

    def start(**options: str) -> Running:
        started.append(Running(tmp_path, **options))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()
