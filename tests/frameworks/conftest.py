"""A Redis for each framework, and a way to look at one queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microscaling.metric.base import Measurement, Metric
from tests.services.patience import time_for_answers  # noqa: F401
from tests.services.postgresql import PostgreSQL
from tests.services.redis import RedisServer

pytest.importorskip("redis", reason="redis is not here: pip install '.[redis]'")

Look = Callable[[], Measurement | None]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Any]:
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One for all tests, each with databases of its own."""
    pytest.importorskip("psycopg", reason="psycopg is not here: pip install '.[postgresql]'")
    with PostgreSQL(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture
def look() -> Iterator[Callable[[Metric], Look]]:
    """Returns a function that measures with this metric. The counters are left out, as they depend on the
    life of a server (tests/metric/test_counters.py)."""
    used: list[Metric] = []

    def made(metric: Metric) -> Look:
        used.append(metric)

        def measure() -> Measurement | None:
            metric.update()
            found = metric.measured
            return None if found is None else replace(found, arrived=None, finished=None)

        return measure

    yield made
    for metric in used:
        for source in metric.sources:
            source.close()
