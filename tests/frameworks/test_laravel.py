"""Laravel's jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.laravel import PREFIX, LaravelMetric
from tests.frameworks.stage import PhpStage, kill, stop, until


def test_every_state(redis: Any, look: Any, tmp_path: Path) -> None:
    metric = LaravelMetric(redis.url, "jobs")
    measure = look(metric)
    with PhpStage(redis.url, tmp_path, "laravel") as stage:
        worker_of = (*stage.side_command(), "worker")
        assert measure() == Measurement(0, 0), "it is not there"
        stage.ask("enqueue", 5)
        assert measure() == Measurement(5, 0)
        stage.ask("enqueue_in", 3, 3600)
        assert measure() == Measurement(5, 0, future=3)
        stage.ask("enqueue_in", 2, 2)
        until(measure, Measurement(7, 0, future=3))
        with redis.client() as client:
            names = {metric.name_in(key.decode()) for key in client.scan_iter(metric.known_in())}
        assert names == {"jobs"}

        with stage.worker(*worker_of) as worker:
            until(lambda: (stage.started(), measure()), (1, Measurement(6, 1, future=3)))
            kill(worker)
        assert measure() == Measurement(6, 1, future=3), "nothing shows yet that it is gone"
        until(measure, Measurement(7, 0, future=3))  # after retry_after
        stage.release()
        with stage.worker(*worker_of) as worker:
            until(lambda: (stage.done(), measure()), (7, Measurement(0, 0, future=3)))
            stop(worker)
        stage.ask("purge")
        assert measure() == Measurement(0, 0), "it is empty"


def test_the_age_is_that_of_newer_versions(redis: Any, look: Any) -> None:
    measure = look(LaravelMetric(redis.url, "jobs"))
    with redis.client() as client:
        for written, known in (
            ({"pushedAt": "12.5"}, True),
            ({"createdAt": 12}, True),
            ({}, False),
            ([], False),
        ):
            client.delete(f"{PREFIX}queues:jobs")
            client.rpush(f"{PREFIX}queues:jobs", json.dumps(written))
            assert (measure().oldest_age_s is not None) == known
