"""Celery's tasks in every state, by real workers; the truth is in the books of the tasks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.celery import CeleryMetric
from tests.frameworks.stage import Stage, kill, stop, until

WORKER = (sys.executable, "-m", "celery", "-A", "celery_jobs", "worker", "-c", "2",
          "--without-gossip", "--without-mingle", "--without-heartbeat")  # fmt: skip
PREFETCHED = 8
"""By a worker of 2 processes, beyond the tasks that run."""


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    metric = CeleryMetric(redis.url, "jobs")
    measure = look(metric)
    with Stage(redis.url, tmp_path, "celery_jobs") as stage:
        assert measure() == Measurement(0, None), "it is not there"
        stage.ask("enqueue", 7)
        assert measure() == Measurement(7, None)
        for priority in range(10):
            stage.ask("enqueue", 1, priority=priority)
        assert measure() == Measurement(17, None), "in four lists"
        stage.ask("enqueue", 3, countdown=3600)
        stage.ask("enqueue", 2, countdown=1, priority=9)
        until(measure, Measurement(19, None, future=3))
        assert look(CeleryMetric(redis.url, "jobs", look_at=0))() == Measurement(22, None), (
            "it was not to look"
        )
        stage.ask("purge")
        assert measure() == Measurement(0, None), "it is empty"

        stage.ask("enqueue", 20)
        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(18 - PREFETCHED, None)))
            quick = look(CeleryMetric(redis.url, "jobs", visible_s=1.0))
            kill(worker)
        assert measure() == Measurement(18 - PREFETCHED, None), "nobody knows yet"
        until(quick, Measurement(18 - PREFETCHED, None, stuck=PREFETCHED))

        stage.ask("purge")
        stage.forget()
        stage.release()
        stage.ask("enqueue", 5)
        stage.ask("enqueue", 3, countdown=3600)
        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.done(), measure()), (5, Measurement(0, None)))
            stop(worker)
        assert measure() == Measurement(0, None, future=3), "given back, and still none of them is due"


def test_a_prefix_is_that_of_all_keys(
    redis: Any, look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_PREFIX", "app:")
    with Stage(redis.url, tmp_path, "celery_jobs") as stage:
        stage.ask("enqueue", 4)
        measure = look(CeleryMetric(redis.url, "jobs", prefix="app:"))
        assert measure() == Measurement(4, None)
        missing = CeleryMetric(redis.url, "jobs")
        missing.missing = "held"
        with pytest.raises(
            MetricError, match="Celery queue jobs: there is no such queue in Redis at redis://127"
        ):
            look(missing)()
