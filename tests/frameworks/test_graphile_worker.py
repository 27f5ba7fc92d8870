"""Graphile Worker's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.graphile_worker import GraphileWorkerMetric
from tests.frameworks.database_stage import NodeDatabaseStage
from tests.frameworks.stage import kill, stop, until
from tests.services.postgresql import QUOTED

FIVE_HOURS_AGO = "SET locked_at = now() - interval '5 hours' WHERE locked_at IS NOT NULL"


def test_every_state(postgresql: Any, redis: Any, look: Any, tmp_path: Path) -> None:
    with NodeDatabaseStage(postgresql, redis.url, tmp_path, "graphile-worker") as stage:
        whole = look(GraphileWorkerMetric(stage.url, "jobs"))

        def measure() -> Measurement:
            return dataclasses.replace(whole(), oldest_age_s=None)

        with pytest.raises(MetricError, match=r'"graphile_worker.jobs" does not exist .* a worker.s start'):
            whole()
        stage.ask("create")
        assert whole() == Measurement(0, 0), "it is empty"
        stage.ask("enqueue", 4)
        stage.ask("enqueueOther", 5)
        assert measure() == Measurement(4, 0), "those of another task do not count"
        until(lambda: whole().oldest_age_s > 0.5, True)
        stage.ask("enqueue", 3, 3600)
        stage.ask("enqueue", 2, 1)
        until(measure, Measurement(6, 0, future=3))
        stage.ask("enqueue", 3, 0, {"queueName": "serial"})
        assert measure() == Measurement(7, 0, future=3), "one at a time"

        stage.do("CREATE USER reader PASSWORD 'any'; GRANT USAGE ON SCHEMA graphile_worker TO reader")
        stage.do("GRANT SELECT ON graphile_worker.jobs TO reader")
        reader = look(GraphileWorkerMetric(stage.url.replace(f"me:{QUOTED}", "reader:any"), "jobs"))
        assert reader().waiting == 7

        with stage.worker(*stage.node("worker", "2")) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(5, 2, future=3)))
            kill(worker)
        assert measure() == Measurement(5, 2, future=3), "it has no heartbeat"
        stage.do(f"UPDATE graphile_worker._private_jobs {FIVE_HOURS_AGO}")
        stage.do(f"UPDATE graphile_worker._private_job_queues {FIVE_HOURS_AGO}")
        assert measure() == Measurement(5, 0, stuck=2, future=3)
        with stage.worker(*stage.node("worker", "2")) as worker:
            until(lambda: (stage.started(), measure()), (4, Measurement(5, 2, future=3)))
            stage.release()
            until(measure, Measurement(0, 0, future=3))
            assert stage.done() == 9
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"
