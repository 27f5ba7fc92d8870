"""RQ's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.rq import RQMetric
from tests.frameworks.stage import HERE, Stage, kill, stop, until

WORKER = (sys.executable, str(HERE / "rq_jobs.py"))


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    metric = RQMetric(redis.url, "jobs")
    whole = look(metric)

    def measure() -> Measurement:
        return dataclasses.replace(whole(), oldest_age_s=None)

    with Stage(redis.url, tmp_path, "rq_jobs") as stage:
        assert whole() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 4)
        assert measure() == Measurement(4, 0)
        until(lambda: whole().oldest_age_s > 0.5, True)
        stage.ask("enqueue_after_another")
        assert measure() == Measurement(4, 0), "one waits for another one"
        stage.ask("enqueue_in", 3, 3600)
        stage.ask("enqueue_in", 2, 1)
        until(measure, Measurement(6, 0, future=3))
        stage.ask("suspend")
        assert measure() == Measurement(6, 0, future=3, paused=True)
        stage.ask("resume")

        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (1, Measurement(5, 1, future=3)))
            kill(worker)
        until(measure, Measurement(5, 0, stuck=1, future=3))
        with stage.worker(*WORKER, "scheduler") as worker:
            # RQ counts the job of a dead worker as failed. What has been due for long is moved now.
            until(
                lambda: (stage.started(), stage.ask("failed"), measure()), (2, 1, Measurement(4, 1, future=3))
            )
            stage.release()
            until(lambda: (stage.done(), measure()), (6, Measurement(0, 0, future=3)))
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"
