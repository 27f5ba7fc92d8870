"""Bull's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.bull import BullMetric
from microscaling.metric.n8n import N8NMetric
from tests.frameworks.stage import NodeStage, kill, stop, until


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    whole = look(BullMetric(redis.url, "jobs"))

    def measure() -> Measurement:
        return dataclasses.replace(whole(), oldest_age_s=None)

    with NodeStage(redis.url, tmp_path, "bull") as stage:
        assert whole() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 4)
        assert measure() == Measurement(4, 0)
        until(lambda: whole().oldest_age_s > 0.5, True)
        stage.ask("enqueue", 10, {"priority": 3})
        stage.ask("enqueue", 3, {"delay": 3_600_000})
        stage.ask("enqueue", 2, {"delay": 1000})
        until(measure, Measurement(16, 0, future=3))
        stage.ask("pause")
        assert measure() == Measurement(16, 0, future=3, paused=True)
        stage.ask("resume")
        assert dataclasses.replace(look(N8NMetric(redis.url))(), oldest_age_s=None) == measure(), "n8n's name"

        with stage.worker(*stage.node("worker")) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(14, 2, future=3)))
            kill(worker)
        assert measure() == Measurement(14, 2, future=3), "nobody has found them out"
        with stage.worker(*stage.node("worker")) as worker:
            # Those of the dead worker wait again, and it has two of its own.
            until(lambda: (stage.started(), measure()), (4, Measurement(14, 2, future=3)))
            stage.release()
            until(lambda: (stage.done(), measure()), (16, Measurement(0, 0, future=3)))
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"
