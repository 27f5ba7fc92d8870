"""PgQueuer's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.pg_queuer import PgQueuerMetric
from tests.frameworks.database_stage import DatabaseStage
from tests.frameworks.stage import HERE, kill, stop, until

WORKER = (sys.executable, str(HERE / "pgqueuer_jobs.py"), "2")


def test_every_state(postgresql: Any, redis: Any, look: Any, tmp_path: Path) -> None:
    with DatabaseStage(postgresql, redis.url, tmp_path, "pgqueuer_jobs") as stage:
        whole = look(PgQueuerMetric(stage.url, "jobs", heartbeat_s=2))

        def measure() -> Measurement:
            return dataclasses.replace(whole(), oldest_age_s=None)

        with pytest.raises(MetricError, match=r'relation "pgqueuer" does not exist .* `pgq install`'):
            whole()
        stage.ask("create")
        assert whole() == Measurement(0, 0), "it is empty"
        stage.ask("enqueue", 6)
        assert measure() == Measurement(6, 0)
        until(lambda: whole().oldest_age_s > 0.5, True)
        stage.ask("enqueue", 3, 3600)
        stage.ask("enqueue", 2, 1)
        until(measure, Measurement(8, 0, future=3))

        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(6, 2, future=3)))
            kill(worker)
        until(measure, Measurement(6, 0, stuck=2, future=3))
        with stage.worker(*WORKER) as worker:
            # It may take new ones, or those of the dead worker.
            until(lambda: (stage.started(), whole().running), (4, 2))
            stage.release()
            until(measure, Measurement(0, 0, future=3))
            assert stage.done() == 8
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"
