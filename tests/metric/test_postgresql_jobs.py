"""Queues of job frameworks in PostgreSQL: the questions of all tasks, and errors. The frameworks
themselves are in tests/frameworks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from microscaling.demand.task import Task
from microscaling.engine.readings import Readings
from microscaling.errors import MetricError
from microscaling.metric import missing
from microscaling.metric.base import Measurement
from microscaling.metric.procrastinate import ProcrastinateMetric
from microscaling.metric.sql import SQLMetric
from tests.services.postgresql import QUOTED, PostgreSQL

pytest.importorskip("psycopg", reason="psycopg is not here: pip install '.[postgresql]'")

TABLES = """
CREATE SCHEMA "of 100%";
SET search_path TO "of 100%";
CREATE TABLE procrastinate_workers (id bigint, last_heartbeat timestamptz);
CREATE TABLE procrastinate_events (job_id bigint, type text, at timestamptz);
CREATE TABLE procrastinate_jobs (
    id bigint PRIMARY KEY, queue_name varchar, status text, lock text, priority int, scheduled_at timestamptz,
    worker_id bigint
);
INSERT INTO procrastinate_jobs (id, queue_name, status)
VALUES (1, 'mail', 'todo'), (2, 'mail', 'doing'), (3, 'images', 'todo')
"""
SCHEMA = "of 100%"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(tmp_path_factory.mktemp("postgresql")) as server:
        with server.client() as client:
            client.execute(TABLES)
            client.execute("CREATE USER stranger PASSWORD 'any'")
        yield server


def test_all_tasks_of_a_database_share_one_connection_and_those_of_a_framework_one_statement(
    server: PostgreSQL,
) -> None:
    metrics = [ProcrastinateMetric(server.url, name, SCHEMA) for name in ("mail", "images", "none", "mail")]
    others = [ProcrastinateMetric(server.url, "mail", "elsewhere"), SQLMetric(server.url, "SELECT 7")]
    tasks = [Task(str(i), metric=metric) for i, metric in enumerate([*metrics, *others])]
    [poll] = Readings(tasks, 1.5).polls
    assert len(poll.source.questions) == 3  # type: ignore[attr-defined]
    try:
        answer = poll.source.fetch()
        found = [metric.read(answer) for metric in metrics]
        assert found == [Measurement(1, 0, 1), Measurement(1, 0), Measurement(0, 0), Measurement(1, 0, 1)]
        assert others[1].read(answer) == 7
        with pytest.raises(
            MetricError, match=r'schema "elsewhere"|elsewhere.procrastinate_jobs" does not exist'
        ):
            others[0].read(answer)
        metrics[2].missing = "held"
        with pytest.raises(
            MetricError, match="Procrastinate queue none: there is no such queue in PostgreSQL at"
        ):
            metrics[2].read(answer)
        for new in (ProcrastinateMetric(server.url, "new", SCHEMA), ProcrastinateMetric(server.url, "new")):
            with pytest.raises(MetricError, match="Procrastinate queue new: not measured yet"):
                new.read(answer)
    finally:
        poll.source.close()


def test_a_queue_that_was_never_there_is_said_once_with_those_that_are(
    server: PostgreSQL, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    caplog.set_level(logging.WARNING, "mssmetric")
    metric: Any = ProcrastinateMetric(server.url, "mails", SCHEMA)
    for _ in range(3):
        metric.update()
    metric.source.close()
    [line] = caplog.messages
    assert line.endswith(
        'the Procrastinate queue "mails" has not existed since the start: there are images, mail'
    )


def test_a_user_without_the_right_to_read(server: PostgreSQL) -> None:
    metric: Any = ProcrastinateMetric(server.url.replace(f"me:{QUOTED}", "stranger:any"), "mail", SCHEMA)
    with pytest.raises(MetricError, match="permission denied for schema of 100%: GRANT USAGE on its schema"):
        metric.update()
    metric.source.close()


def test_tables_of_an_unknown_version(server: PostgreSQL) -> None:
    with server.client() as client:
        client.execute("CREATE SCHEMA old")
        for name in ("jobs", "workers", "events"):
            client.execute(f"CREATE TABLE old.procrastinate_{name} (id bigint)")
    metric: Any = ProcrastinateMetric(server.url, "mail", "old")
    with pytest.raises(
        MetricError, match="does not exist: the tables are those of a version that is not known"
    ):
        metric.update()
    metric.source.close()
