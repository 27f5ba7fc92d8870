"""Huey's tasks in every state, by real consumers; the truth is in the books of the jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError
from microscaling.metric.base import Measurement
from microscaling.metric.huey import HueyMetric, check_zone
from tests.frameworks.stage import Stage, kill, stop, until

WORKER = (sys.executable, "-m", "huey.bin.huey_consumer", "-w", "2", "-g", "TERM")


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    measure = look(HueyMetric(redis.url, "jobs"))
    with Stage(redis.url, tmp_path, "huey_jobs") as stage:
        assert measure() == Measurement(0, None), "it is not there"
        stage.ask("enqueue", 5)
        assert measure() == Measurement(5, None)
        stage.ask("enqueue_in", 3, 3600)
        assert measure() == Measurement(8, None), "nobody has read that they are for later"
        stage.ask("enqueue_in", 1, 3)

        with stage.worker(*WORKER, "huey_jobs.jobs") as worker:
            # Two have been read, and the other workers are busy.
            until(lambda: (stage.started(), measure()), (2, Measurement(7, None)))
            kill(worker)
        assert measure() == Measurement(7, None), "they are lost"
        stage.release()
        with stage.worker(*WORKER, "huey_jobs.jobs") as worker:
            until(lambda: (stage.done(), measure()), (4, Measurement(0, None, future=3)))
            stop(worker)
        assert measure() == Measurement(0, None, future=3)
        stage.ask("purge")
        assert measure() == Measurement(0, None), "it is empty"


def test_due_tasks_wait_while_no_consumer_is_there(
    redis: Any, look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    measure = look(HueyMetric(redis.url, "jobs", "America/New_York"))
    with Stage(redis.url, tmp_path, "huey_jobs") as stage:
        stage.ask("enqueue_in", 1, 3600)
        with stage.worker(*WORKER, "huey_jobs.jobs") as worker:
            until(measure, Measurement(0, None, future=1))
            # A busy machine may take longer for its start than until these are due; it has to stop before.
            stage.ask("enqueue_in", 2, 10)
            until(measure, Measurement(0, None, future=3))
            stop(worker)
        assert stage.started() == 0, "it was too early"
        until(measure, Measurement(2, None, future=1))
        assert look(HueyMetric(redis.url, "jobs"))() == Measurement(0, None, future=3), "by another clock"


def test_priorities_and_a_name_that_huey_changes(redis: Any, look: Any, tmp_path: Path) -> None:
    measure = look(HueyMetric(redis.url, "jobs-by-priority"))
    with Stage(redis.url, tmp_path, "huey_jobs") as stage:
        stage.ask("enqueue_by_priority", 2, 1)
        stage.ask("enqueue_by_priority", 3, 9)
        assert measure() == Measurement(5, None)
        stage.release()
        with stage.worker(*WORKER, "huey_jobs.jobs_by_priority") as worker:
            until(lambda: (stage.done(), measure()), (5, Measurement(0, None)))
            stop(worker)


def test_a_time_zone_has_to_be_known() -> None:
    check_zone("Europe/Berlin")
    for bad in ("Mars", "/etc/passwd", ""):
        with pytest.raises(ConfigError, match="expected a time zone"):
            check_zone(bad)
