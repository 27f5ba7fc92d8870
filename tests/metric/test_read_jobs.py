"""Job frameworks that could not be run: their tables as their migrations make them, filled by hand. Of each a
job in every state, and the locks that its workers would have."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microscaling.metric.base import Measurement
from microscaling.metric.good_job import GoodJobMetric
from microscaling.metric.oban import ObanMetric
from microscaling.metric.postgresql_jobs import TableJobsMetric
from microscaling.metric.que import QueMetric
from microscaling.metric.solid_queue import SolidQueueMetric
from tests.metric.read_jobs import GOOD_JOB, OBAN, QUE, SOLID_QUEUE
from tests.services.postgresql import PostgreSQL

pytest.importorskip("psycopg", reason="psycopg is not here: pip install '.[postgresql]'")

Counted = Callable[[TableJobsMetric], Measurement]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(tmp_path_factory.mktemp("postgresql")) as server:
        with server.client() as client:
            # Columns without a zone are in UTC, wherever the server is.
            client.execute("ALTER SYSTEM SET timezone = 'America/New_York'")
            client.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def client(server: PostgreSQL) -> Iterator[Any]:
    with server.client() as client:
        client.execute("SET timezone = 'UTC'")
        yield client


def counted(metric: TableJobsMetric) -> Measurement:
    metric.update()
    assert metric.measured
    assert metric.source
    metric.source.close()
    age_s = metric.measured.oldest_age_s
    assert (age_s is None) == (metric.measured.waiting == 0)
    assert age_s is None or age_s < 4000
    return dataclasses.replace(metric.measured, oldest_age_s=None)


def test_oban(server: PostgreSQL, client: Any) -> None:
    client.execute(OBAN)
    for state, at in [
        ("available", 0), ("scheduled", -60), ("retryable", -60), ("scheduled", 60), ("retryable", 60),
        ("completed", -60), ("discarded", -60), ("cancelled", -60), ("executing", -60), ("executing", -7200),
    ]:  # fmt: skip
        when = f"now() + {at} * interval '1 second'"
        client.execute(
            "INSERT INTO oban_jobs (state, queue, worker, args, scheduled_at, attempted_at) "
            f"VALUES ('{state}', 'mail', 'W', '{{}}', {when}, {when})"
        )
    assert counted(ObanMetric(server.url, "mail")) == Measurement(3, 1, stuck=1, future=2)


def test_que(server: PostgreSQL, client: Any) -> None:
    client.execute(QUE)
    client.execute(
        "INSERT INTO que_jobs (queue, job_class, run_at, finished_at, expired_at) VALUES "
        "('mail', 'J', now(), NULL, NULL), ('mail', 'J', now() - interval '1 hour', NULL, NULL), "
        "('mail', 'J', now() + interval '1 hour', NULL, NULL), ('mail', 'J', now(), now(), NULL), "
        "('mail', 'J', now(), NULL, now()), ('other', 'J', now(), NULL, NULL)"
    )
    assert counted(QueMetric(server.url, "mail")) == Measurement(2, 0, future=1)
    with server.client() as worker:
        worker.execute("SELECT pg_advisory_lock(id) FROM que_jobs WHERE id IN (1, 6)")
        assert counted(QueMetric(server.url, "mail")) == Measurement(1, 1, future=1)
    assert counted(QueMetric(server.url, "mail")) == Measurement(2, 0, future=1), "it is gone"


def test_good_job(server: PostgreSQL, client: Any) -> None:
    client.execute(GOOD_JOB)
    client.execute(
        "INSERT INTO good_jobs (queue_name, created_at, updated_at, scheduled_at, finished_at) VALUES "
        "('mail', now(), now(), NULL, NULL), ('mail', now(), now(), now() - interval '1 hour', NULL), "
        "('mail', now(), now(), now() + interval '1 hour', NULL), ('mail', now(), now(), now(), now()), "
        "('other', now(), now(), NULL, NULL)"
    )
    assert counted(GoodJobMetric(server.url, "mail")) == Measurement(2, 0, future=1)
    with server.client() as worker:
        key = "('x' || substr(md5('good_jobs' || '-' || id::text), 1, 16))::bit(64)::bigint"
        due = "queue_name = 'mail' AND finished_at IS NULL AND scheduled_at IS NULL"
        worker.execute(f"SELECT pg_advisory_lock({key}) FROM good_jobs WHERE {due}")
        assert counted(GoodJobMetric(server.url, "mail")) == Measurement(1, 1, future=1)
    assert counted(GoodJobMetric(server.url, "mail")) == Measurement(2, 0, future=1), "it is gone"


def test_solid_queue(server: PostgreSQL, client: Any) -> None:
    client.execute(SOLID_QUEUE)
    for _ in range(8):
        client.execute(
            "INSERT INTO solid_queue_jobs (queue_name, class_name, created_at, updated_at) "
            "VALUES ('mail', 'J', now(), now())"
        )
    client.execute(
        "INSERT INTO solid_queue_processes (kind, last_heartbeat_at, pid, created_at, name) VALUES "
        "('Worker', now(), 1, now(), 'one'), ('Worker', now() - interval '1 hour', 2, now(), 'two');"
        "INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at) VALUES (1, 'mail', now());"
        "INSERT INTO solid_queue_scheduled_executions (job_id, queue_name, scheduled_at, created_at) VALUES "
        "(2, 'mail', now() - interval '1 minute', now()), (3, 'mail', now() + interval '1 minute', now());"
        "INSERT INTO solid_queue_claimed_executions (job_id, process_id, created_at) "
        "VALUES (4, 1, now()), (5, 2, now()), (6, NULL, now());"
        "INSERT INTO solid_queue_blocked_executions "
        "(job_id, queue_name, concurrency_key, expires_at, created_at) VALUES (7, 'mail', 'k', now(), now())"
    )
    assert counted(SolidQueueMetric(server.url, "mail")) == Measurement(2, 1, stuck=2, future=1)
    client.execute("INSERT INTO solid_queue_pauses (queue_name, created_at) VALUES ('mail', now())")
    assert counted(SolidQueueMetric(server.url, "mail")).paused
