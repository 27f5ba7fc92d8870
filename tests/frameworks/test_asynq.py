"""asynq's tasks in every state, by real servers; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

from microscaling.metric.asynq import AsynqMetric
from microscaling.metric.base import Measurement
from microscaling.metric.consumers.base import Consumer
from microscaling.metric.consumers.choice import consumers_of
from tests.frameworks.stage import GoStage, kill, stop, until

WORKER = (GoStage.program, "worker")


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    whole = look(AsynqMetric(redis.url, "jobs"))

    def measure() -> Measurement:
        return dataclasses.replace(whole(), oldest_age_s=None)

    with GoStage(redis.url, tmp_path, "asynq") as stage:
        assert whole() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 5)
        assert measure() == Measurement(5, 0)
        until(lambda: 0.5 < whole().oldest_age_s < 60, True)
        stage.ask("enqueue_in", 3, 3600)
        assert measure() == Measurement(5, 0, future=3)
        stage.ask("enqueue_in", 2, 2)
        until(measure, Measurement(7, 0, future=3))
        stage.ask("enqueue_in_group", 4)
        assert measure() == Measurement(8, 0, future=3), "a group is one"
        stage.ask("pause")
        assert measure() == Measurement(8, 0, future=3, paused=True)
        stage.ask("resume")

        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(6, 2, future=3)))
            stop(worker)
        # It gives them back, without the time since when they wait.
        assert whole() == Measurement(8, 0, future=3)
        stage.forget()
        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(6, 2, future=3)))
            kill(worker)
        assert measure() == Measurement(6, 2, future=3), "nothing shows yet that it is gone"
        until(measure, Measurement(6, 0, stuck=2, future=3))  # 30 s later
        stage.release()
        with stage.worker(*WORKER) as worker:
            until(lambda: (stage.done(), measure()), (6, Measurement(0, 0, stuck=2, future=3)))
            # A server looks once a minute for those that have been over for half a minute.
            until(lambda: (stage.done(), measure()), (8, Measurement(0, 0, future=3)), within_s=180)
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"


def test_a_server_with_a_task_is_busy(redis: Any, tmp_path: Path) -> None:
    """It writes every 5 s, and is listed by its host name."""
    source = consumers_of(AsynqMetric(redis.url, "jobs"))
    here = socket.gethostname()
    with GoStage(redis.url, tmp_path, "asynq") as stage, closing(source):
        assert list(source.ask()) == []
        with stage.worker(*WORKER) as worker:
            until(source.ask, [Consumer(here, False)])
            stage.ask("enqueue", 2)
            until(source.ask, [Consumer(here, True)])
            kill(worker)
        until(source.ask, [])
