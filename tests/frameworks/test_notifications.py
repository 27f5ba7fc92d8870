"""Frameworks in PostgreSQL that notify of a new job: it is seen at once, without any beat."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from microscaling.metric.good_job import GoodJobMetric
from microscaling.metric.graphile_worker import GraphileWorkerMetric
from microscaling.metric.oban import ObanMetric
from microscaling.metric.pg_queuer import PgQueuerMetric
from microscaling.metric.procrastinate import ProcrastinateMetric
from microscaling.metric.que import QueMetric
from microscaling.metric.river import RiverMetric
from tests.frameworks.database_stage import DatabaseStage, NodeDatabaseStage, RiverStage
from tests.frameworks.early import LISTENS, looked_at_once, only_early
from tests.metric import read_jobs
from tests.services.postgresql import PgBouncer
from tests.services.service import wait_for

RUN = {
    "procrastinate_jobs": (DatabaseStage, ProcrastinateMetric),
    "pgqueuer_jobs": (DatabaseStage, PgQueuerMetric),
    "graphile-worker": (NodeDatabaseStage, GraphileWorkerMetric),
    "river": (RiverStage, RiverMetric),
}


@pytest.mark.parametrize("module", RUN)
def test_a_new_job_is_seen_at_once(postgresql: Any, redis: Any, tmp_path: Path, module: str) -> None:
    kind, metric = RUN[module]
    with kind(postgresql, redis.url, tmp_path, module) as stage:
        stage.ask("create")
        looked_at_once(metric(stage.url, "jobs"), stage.do, lambda: stage.ask("enqueue", 3))


NOW = "timezone('UTC', now())"
READ: dict[Any, tuple[str, str, str]] = {
    GoodJobMetric: (
        read_jobs.GOOD_JOB,
        f"INSERT INTO good_jobs (queue_name, created_at, updated_at) VALUES ('jobs', {NOW}, {NOW})",
        'NOTIFY good_job, \'{"queue_name": "jobs"}\'',
    ),
    QueMetric: (
        read_jobs.QUE,
        "INSERT INTO que_jobs (queue, job_class) VALUES ('jobs', 'Job')",
        'NOTIFY que_state, \'{"queue": "jobs"}\'',
    ),
    ObanMetric: (
        read_jobs.OBAN,
        "INSERT INTO oban_jobs (queue, worker, args) VALUES ('jobs', 'Job', '{}')",
        'NOTIFY "public.oban_insert", \'{"queue": "jobs"}\'',
    ),
}


@pytest.mark.parametrize("metric", READ)
def test_the_channels_of_those_that_were_only_read(
    postgresql: Any, redis: Any, tmp_path: Path, metric: Any
) -> None:
    tables, insert, notify = READ[metric]
    with DatabaseStage(postgresql, redis.url, tmp_path, "procrastinate_jobs") as stage:
        stage.do(tables)

        def put() -> None:
            stage.do(insert)
            stage.do(notify)

        looked_at_once(metric(stage.url, "jobs"), stage.do, put)


def test_a_connection_that_is_lost_is_opened_again(
    postgresql: Any, redis: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microscaling.metric.postgresql_listener.RETRY_S", 0.2)
    with DatabaseStage(postgresql, redis.url, tmp_path, "procrastinate_jobs") as stage:
        stage.ask("create")
        with only_early(ProcrastinateMetric(stage.url, "jobs")) as task:
            lost = wait_for(lambda: stage.do(LISTENS))
            stage.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
            wait_for(lambda: {*stage.do(LISTENS)} - {*lost})  # the lost one may still be there for a moment
            stage.ask("enqueue", 1)
            wait_for(lambda: task.demand > 0)


def test_behind_a_pool_there_is_no_listening(
    postgresql: Any, redis: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PgBouncer passes LISTEN on to one of its sessions, and the notifications to nobody, or anybody."""
    caplog.set_level(logging.INFO, "mssmetric")
    with (
        DatabaseStage(postgresql, redis.url, tmp_path, "procrastinate_jobs") as stage,
        PgBouncer(tmp_path, postgresql) as pool,
    ):
        stage.ask("create")
        url = f"{pool.url.rpartition('/')[0]}/{stage.database}"
        with only_early(ProcrastinateMetric(url, "jobs")) as task:
            wait_for(lambda: "is behind a pool" in caplog.text)
            assert stage.do(LISTENS) == []
            assert not task.held
    assert caplog.text.count("looked at every beat only") == 1
