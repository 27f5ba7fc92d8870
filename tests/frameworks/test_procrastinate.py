"""Procrastinate's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.procrastinate import ProcrastinateMetric
from tests.frameworks.database_stage import DatabaseStage
from tests.frameworks.stage import HERE, kill, stop, until

WORKER = (sys.executable, str(HERE / "procrastinate_jobs.py"))


def test_every_state(postgresql: Any, redis: Any, look: Any, tmp_path: Path) -> None:
    with DatabaseStage(postgresql, redis.url, tmp_path, "procrastinate_jobs") as stage:
        whole = look(ProcrastinateMetric(stage.url, "jobs", stalled_s=2))

        def measure() -> Measurement:
            return dataclasses.replace(whole(), oldest_age_s=None)

        with pytest.raises(
            MetricError, match=r'relation "procrastinate_jobs" does not exist .* schema --apply'
        ):
            whole()
        stage.ask("create")
        assert whole() == Measurement(0, 0), "it is empty"
        stage.ask("enqueue", 4)
        assert measure() == Measurement(4, 0)
        until(lambda: whole().oldest_age_s > 0.5, True)
        stage.ask("enqueue_in", 3, 3600)
        stage.ask("enqueue_in", 2, 1)
        until(measure, Measurement(6, 0, future=3))
        stage.ask("enqueue_with_lock", 3, "one at a time")
        assert measure() == Measurement(7, 0, future=3), "two wait for the first with their lock"
        stage.ask("enqueue_with_lock", 1, "later first", 3600)
        stage.ask("enqueue_with_lock", 2, "later first")
        assert measure() == Measurement(7, 0, future=4), "these wait for one that is for later"

        with stage.worker(*WORKER, "2") as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(5, 2, future=4)))
            kill(worker)
        until(measure, Measurement(5, 0, stuck=2, future=4))
        with stage.worker(*WORKER, "2") as worker:
            until(lambda: (stage.started(), measure()), (4, Measurement(3, 2, stuck=2, future=4)))
            stage.ask("retry_stalled")
            # As the heartbeat of the other two may be late on a busy machine.
            until(measure, Measurement(5, 2, future=4))
            stage.release()
            # All but those behind the lock of a job for later.
            until(lambda: (stage.done(), measure()), (9, Measurement(0, 0, future=4)))
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"
