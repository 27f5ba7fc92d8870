"""arq's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from microscaling.metric.arq import ARQMetric
from microscaling.metric.base import Measurement
from tests.frameworks.stage import HERE, Stage, kill, stop, until

WORKER = (sys.executable, str(HERE / "arq_jobs.py"))


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    measure = look(ARQMetric(redis.url, "jobs"))
    with Stage(redis.url, tmp_path, "arq_jobs") as stage:
        assert measure() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 7)
        assert measure() == Measurement(7, 0)
        stage.ask("enqueue_in", 3, 3600)
        stage.ask("enqueue_in", 2, 1)
        until(measure, Measurement(9, 0, future=3))

        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(7, 2, future=3)))
            assert look(ARQMetric(redis.url, "jobs", look_at=1))() == Measurement(8, 1, future=3), (
                "at one only"
            )
            kill(worker)
        assert measure() == Measurement(7, 2, future=3), "nothing shows that it is gone"
        until(measure, Measurement(9, 0, future=3))  # their time is over
        stage.release()
        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.done(), measure()), (9, Measurement(0, 0, future=3)))
            stop(worker)
        stage.ask("purge")
        assert measure() == Measurement(0, 0), "it is empty"
