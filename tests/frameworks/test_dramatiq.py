"""Dramatiq's messages in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.dramatiq import DramatiqMetric
from tests.frameworks.stage import Stage, kill, stop, until

WORKER = (sys.executable, "-m", "dramatiq", "dramatiq_jobs", "--processes", "1", "--threads", "2")
TAKEN = 4
"""By a worker of 2 threads: those that run, and as many again."""
HEARTBEAT_S = 3.0


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    # The side itself has sent messages, and is silent for longer than that.
    measure = look(DramatiqMetric(redis.url, "jobs", heartbeat_s=HEARTBEAT_S))
    with Stage(redis.url, tmp_path, "dramatiq_jobs") as stage:
        assert measure() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 7)
        assert measure() == Measurement(7, 0)
        stage.ask("enqueue", 3, delay=3_600_000)
        stage.ask("enqueue", 2, delay=1000)
        until(measure, Measurement(9, 0, future=3))
        assert look(DramatiqMetric(redis.url, "jobs", look_at=3))() == Measurement(7, 0, future=5), (
            "looks at 3"
        )
        assert look(DramatiqMetric(redis.url, "jobs", look_at=0))() == Measurement(7, 0, future=5), "at none"

        with stage.worker(*WORKER) as worker:
            # It takes what is for later, too.
            until(lambda: (stage.started(), measure()), (2, Measurement(9 - TAKEN, TAKEN, future=3)))
            kill(worker)
        # With another heartbeat, as that one may be over by now on a busy machine.
        patient = look(DramatiqMetric(redis.url, "jobs", heartbeat_s=600.0))
        assert patient() == Measurement(9 - TAKEN, TAKEN, future=3), "nothing shows yet that it is gone"
        until(measure, Measurement(9 - TAKEN, 0, stuck=TAKEN + 3))
        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (4, Measurement(9 - TAKEN, TAKEN, future=3)))
            stage.release()
            until(lambda: (stage.done(), measure()), (9, Measurement(0, 0, future=3)))
            stop(worker)
        assert measure() == Measurement(0, 0, future=3), "given back"
        stage.ask("purge")
        assert measure() == Measurement(0, 0), "it is empty"
