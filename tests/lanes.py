"""Which tests may run beside each other in several processes (pytest-xdist), and which go first."""

from __future__ import annotations

import re

import pytest

ENGINE = "the engine of this machine"
FIRST = (ENGINE, "tests/browser/", "tests/contract/", "tests/integration/", "tests/workers/", "tests/test_")
"""The lanes that take longest begin first."""
BESIDE_OTHERS = (
    "tests/integration/test_compose_copies.py",
    "tests/integration/test_compose_filter.py",
    "tests/integration/test_compose_limits.py",
    "tests/integration/test_compose_live.py",
    "tests/integration/test_compose_living.py",
    "tests/integration/test_compose_versions.py",
    "tests/integration/test_compose_yield.py",
    "tests/integration/test_drain_restarts.py",
    "tests/integration/test_engine_restart.py",
    "tests/integration/test_engine_tls.py",
    "tests/integration/test_leave.py",
    "tests/integration/test_podman.py",
    "tests/integration/test_podman_frozen.py",
    "tests/integration/test_swarm.py",
    "tests/integration/test_two_agents.py",
    "tests/integration/test_unstoppable.py",
    "tests/integration/test_web_faults.py",
)
"""They have engines of their own, or containers that no agent of another test looks at."""

BY_SCHEDULER = ("tests/contract/test_schedulers.py", "tests/contract/test_one_job_workers.py")
"""Tests whose first parameter is the scheduler."""


def lane(nodeid: str) -> str:
    """The tests of a lane run one after the other, in one process. All that use the engine of this machine
    share one, as one agent at a time may be at work there. Others go with the rest of their file, which
    shares servers; those of the suite over all schedulers with the rest of their scheduler."""
    file, _, test = nodeid.partition("::")
    scheduler = re.search(r"\[(\w+)", test) if file in BY_SCHEDULER else None
    integration = file.startswith("tests/integration/") and file not in BESIDE_OTHERS
    if integration or file == "tests/browser/test_engine.py" or (scheduler and scheduler[1] == "DOCKER"):
        return ENGINE
    return f"{file} {scheduler[1]}" if scheduler else file


def check(items: list[pytest.Item]) -> None:
    """Raises UsageError for a test that needs the engine of this machine alone, and is not in its lane."""
    for item in items:
        if "engine_to_ourselves" in getattr(item, "fixturenames", ()) and lane(item.nodeid) != ENGINE:
            # It would wait for the process of that lane to end, and that for all tests to be done.
            raise pytest.UsageError(f"{item.nodeid} uses {ENGINE}: tests/lanes.py has to say so")


def arrange(items: list[pytest.Item]) -> None:
    """Puts the tests into the order in which their lanes begin."""
    items.sort(key=lambda item: _rank(lane(item.nodeid)))


def _rank(lane: str) -> int:
    return next((rank for rank, begin in enumerate(FIRST) if lane.startswith(begin)), len(FIRST))
