"""SAQ's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.saq import SAQMetric
from tests.frameworks.stage import Stage, kill, stop, until

WORKER = (sys.executable, "-m", "saq", "saq_jobs.settings")


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    measure = look(SAQMetric(redis.url, "jobs"))
    with Stage(redis.url, tmp_path, "saq_jobs") as stage:
        assert measure() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 2, 5)
        stage.ask("enqueue", 3)
        assert measure() == Measurement(5, 0)
        stage.ask("enqueue_in", 3, 3600)
        assert measure() == Measurement(5, 0, future=3)
        stage.ask("enqueue_in", 2, 2)
        until(measure, Measurement(7, 0, future=3))

        stage.ask("do_not_sweep")
        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(5, 2, future=3)))
            kill(worker)
        assert measure() == Measurement(5, 2, future=3), "nothing shows that it is gone"
        stage.release()
        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.done(), measure()), (5, Measurement(0, 2, future=3)))
            until(lambda: stage.ask("sweep"), 2)  # once their time is over
            until(lambda: (stage.done(), measure()), (7, Measurement(0, 0, future=3)))
            stop(worker)
        stage.ask("purge")
        assert measure() == Measurement(0, 0), "it is empty"
