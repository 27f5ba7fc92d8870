"""River's jobs in every state, by real clients; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.river import RiverMetric
from tests.frameworks.database_stage import RiverStage
from tests.frameworks.stage import kill, stop, until

WORKER = (RiverStage.program, "worker", "2")


def test_every_state(postgresql: Any, redis: Any, look: Any, tmp_path: Path) -> None:
    with RiverStage(postgresql, redis.url, tmp_path, "river") as stage:
        whole = look(RiverMetric(stage.url, "jobs", rescue_s=2))
        patient = look(RiverMetric(stage.url, "jobs"))

        def measure() -> Measurement:
            return dataclasses.replace(whole(), oldest_age_s=None)

        with pytest.raises(MetricError, match=r'relation "river_(job|queue)" does not exist .* migrate-up'):
            whole()
        stage.ask("create")
        assert whole() == Measurement(0, 0), "it is empty"
        stage.ask("enqueue", 4)
        assert measure() == Measurement(4, 0)
        until(lambda: whole().oldest_age_s > 0.5, True)
        stage.ask("enqueue", 3, 3600)
        stage.ask("enqueue", 2, 1)
        until(measure, Measurement(6, 0, future=3))

        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), patient().running), (2, 2))
            assert patient().waiting == 4
            stage.ask("pause")
            assert (patient().paused, patient().number(False)) == (True, 0)
            kill(worker)
        assert (patient().running, patient().stuck) == (2, 0), "it has no heartbeat"
        until(measure, Measurement(4, 0, stuck=2, future=3, paused=True))
        stage.ask("resume")
        assert measure() == Measurement(4, 0, stuck=2, future=3)
        stage.release()
        with stage.worker(*WORKER) as worker:
            # It rescues those of the dead one, once in half a minute.
            until(stage.done, 6, 120)
            until(measure, Measurement(0, 0, future=3))
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"
