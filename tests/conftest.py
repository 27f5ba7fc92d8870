"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.leaks import Held


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """No test leaves a thread, a socket or a child process behind."""
    before = Held.now()
    yield
    if leaked := before.leaked_for_good():
        pytest.fail("left behind: " + ", ".join(sorted(leaked)))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests do not decide what they see; DOCKER_HOST says where the
    engine is, and stays."""
    for name in os.environ:
        if name.startswith("MSS_") or name in ("NSQ_STATS_ENDPOINT", "AWS_REGION"):
            monkeypatch.delenv(name)
