"""Bee-Queue's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.bee_queue import BeeQueueMetric
from tests.frameworks.stage import NodeStage, kill, stop, until


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    measure = look(BeeQueueMetric(redis.url, "jobs"))
    with NodeStage(redis.url, tmp_path, "beequeue") as stage:
        assert measure() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 5)
        assert measure() == Measurement(5, 0)
        stage.ask("enqueueIn", 3, 3_600_000)
        assert measure() == Measurement(5, 0, future=3)
        stage.ask("enqueueIn", 2, 1500)
        until(measure, Measurement(7, 0, future=3))

        with stage.worker(*stage.node("worker")) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(5, 2, future=3)))
            kill(worker)
        assert measure() == Measurement(5, 2, future=3), "nothing shows that it is gone"
        with stage.worker(*stage.node("worker")) as worker:
            # Those of the dead worker wait again, and it has two of its own.
            until(lambda: (stage.started(), measure()), (4, Measurement(5, 2, future=3)))
            stage.release()
            until(lambda: (stage.done(), measure()), (7, Measurement(0, 0, future=3)))
            stop(worker)
        stage.ask("purge")
        assert measure() == Measurement(0, 0), "it is empty"
