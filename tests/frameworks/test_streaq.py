"""Streaq's tasks in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError
from microscaling.metric.base import Measurement
from microscaling.metric.streaq import StreaqMetric, check_names
from tests.frameworks.stage import Stage, kill, stop, until

WORKER = (sys.executable, "-m", "streaq", "run", "streaq_jobs:worker")
TAKEN = 4
"""By a worker that runs 2: as many again."""


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    measure = look(StreaqMetric(redis.url, "jobs", "low, high"))
    with Stage(redis.url, tmp_path, "streaq_jobs") as stage:
        assert measure() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 4)
        assert measure() == Measurement(4, 0)
        stage.ask("enqueue", 3, priority="high")
        assert measure() == Measurement(7, 0)
        assert look(StreaqMetric(redis.url, "jobs", "high"))() == Measurement(3, 0)
        stage.ask("enqueue", 3, delay=3600)
        stage.ask("enqueue", 2, delay=1, priority="high")
        until(measure, Measurement(9, 0, future=3))

        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(9 - TAKEN, TAKEN, future=3)))
            kill(worker)
        assert measure() == Measurement(9 - TAKEN, TAKEN, future=3), "nothing shows that it is gone"
        stage.release()
        with stage.worker(*WORKER) as worker:
            # It claims those of the other one after a while.
            until(lambda: (stage.done(), measure()), (9, Measurement(0, 0, future=3)))
            stop(worker)
        stage.ask("purge")
        assert measure() == Measurement(0, 0), "it is empty"


def test_priorities_are_names() -> None:
    check_names("low,high")
    for bad in ("", " ", "low,,high"):
        with pytest.raises(ConfigError, match="expected names with commas"):
            check_names(bad)
