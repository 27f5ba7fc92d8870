"""What the tests of hostile inputs share."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.fuzz.checks import SECRET
from tests.fuzz.wire import Answering

ROOM = 3 * 2**30


@pytest.fixture(autouse=True)
def secret_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a configuration refers to as ${TOKEN}."""
    monkeypatch.setenv("TOKEN", SECRET)


@pytest.fixture
def cpu() -> Callable[[float], AbstractContextManager[None]]:
    """Limits what a block may use: seconds of the processor, which do not pass while others have it,
    and memory."""

    @contextmanager
    def limited(seconds: float) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, before[1]))
        began = time.thread_time()
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
        assert time.thread_time() - began < seconds

    return limited


@pytest.fixture(scope="module")
def answering() -> Iterator[Answering]:
    with Answering() as server:
        yield server
