"""Taskiq's tasks in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.taskiq import TaskiqMetric
from tests.frameworks.stage import Stage, kill, stop, until

WORKER = (sys.executable, "-m", "taskiq", "worker", "--workers", "1", "--max-async-tasks", "2",
          "--max-prefetch", "1")  # fmt: skip
PREFETCHED = 1


def test_a_list(redis: Any, look: Any, tmp_path: Path) -> None:
    measure = look(TaskiqMetric(redis.url, "jobs"))
    with Stage(redis.url, tmp_path, "taskiq_jobs") as stage:
        assert measure() == Measurement(0, None), "it is not there"
        stage.ask("enqueue", 9)
        assert measure() == Measurement(9, None)
        with stage.worker(*WORKER, "taskiq_jobs:by_list") as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(9 - 2 - PREFETCHED, None)))
            kill(worker)
        assert measure() == Measurement(6, None), "they are lost, and what that it had taken beyond"
        stage.release()
        with stage.worker(*WORKER, "taskiq_jobs:by_list") as worker:
            until(lambda: (stage.done(), measure()), (6, Measurement(0, None)))
            stop(worker)


def test_a_stream(redis: Any, look: Any, tmp_path: Path) -> None:
    whole = look(TaskiqMetric(redis.url, "jobs-stream", "stream"))

    def measure() -> Measurement:
        return dataclasses.replace(whole(), oldest_age_s=None)

    with Stage(redis.url, tmp_path, "taskiq_jobs") as stage:
        assert measure() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 1, "stream")
        assert measure() == Measurement(1, 0), "no worker has made the group yet"
        stage.ask("begin")
        assert measure() == Measurement(0, 0), "which begins after that"
        stage.ask("enqueue", 120, "stream")
        assert measure() == Measurement(120, 0)
        until(lambda: whole().oldest_age_s > 0.2, True)
        with stage.worker(*WORKER, "taskiq_jobs:by_stream") as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(20, 100)))
            kill(worker)
        assert measure() == Measurement(20, 100), "nothing shows that it is gone"
        with redis.client() as client:
            until(lambda: len(client.xpending_range("jobs-stream", "taskiq", "-", "+", 200, idle=2000)), 100)
        stage.release()
        with stage.worker(*WORKER, "taskiq_jobs:by_stream"):
            # It looks for those of others only after it has read new ones.
            until(lambda: (stage.done(), measure()), (120, Measurement(0, 0)))
        stage.ask("purge")
        assert measure() == Measurement(0, 0), "it is gone"
