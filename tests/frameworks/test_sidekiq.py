"""Sidekiq's jobs in every state, by real processes; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from microscaling.metric import sidekiq
from microscaling.metric.base import Measurement
from microscaling.metric.sidekiq import SidekiqMetric
from tests.frameworks.stage import HERE, RubyStage, kill, stop, until
from tests.services.service import find


def test_every_state(redis: Any, look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = look(SidekiqMetric(redis.url, "jobs"))

    def measure() -> Measurement:
        return dataclasses.replace(whole(), oldest_age_s=None, age_s=0.0)

    with RubyStage(redis.url, tmp_path, "sidekiq_jobs") as stage:
        assert whole() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 5)
        assert measure() == Measurement(5, 0)
        until(lambda: 0.5 < whole().oldest_age_s < 60, True)
        stage.ask("enqueue_in", 3, 3600)
        stage.ask("enqueue_in", 2, 1)
        stage.ask("enqueue_elsewhere_in", 1)
        until(measure, Measurement(7, 0, future=3))

        worker_of = (find("sidekiq"), "-r", str(HERE / "sidekiq_jobs.rb"), "-q", "jobs", "-c", "2")
        with stage.worker(*worker_of) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(5, 2, future=3)))
            kill(worker)
        assert measure() == Measurement(5, 2, future=3), "nothing shows yet that it is gone"
        monkeypatch.setattr(sidekiq, "GONE_S", 1.0)
        until(measure, Measurement(5, 0, future=3))  # and what it had is lost
        monkeypatch.undo()
        stage.release()
        with stage.worker(*worker_of) as worker:
            until(lambda: (stage.done(), measure()), (5, Measurement(0, 0, future=3)))
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"
