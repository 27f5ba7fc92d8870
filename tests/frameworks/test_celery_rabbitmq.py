"""Celery's tasks in RabbitMQ in every state, by real workers; the truth is in the books of the tasks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.celery import CeleryMetric, CeleryOnRabbitMQ, check_either
from microscaling.settings import Settings
from tests.frameworks.stage import Stage, kill, stop, until
from tests.frameworks.test_celery import PREFETCHED, WORKER
from tests.services.rabbitmq import RabbitMQ


def test_every_state(redis: Any, look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "rabbitmq"
    folder.mkdir()
    with RabbitMQ(folder) as rabbit:
        monkeypatch.setenv("JOBS_AMQP", rabbit.amqp)
        url = rabbit.url.replace("//", "//guest:guest@")
        values = {field.key: field.default or "" for field in CeleryMetric.fields}
        metric = CeleryMetric.from_config({**values, "url": url, "queueName": "jobs"}, Settings())
        assert isinstance(metric, CeleryOnRabbitMQ)
        whole = look(metric)

        def measure() -> Measurement:
            return dataclasses.replace(whole(), age_s=0.0)

        with Stage(redis.url, tmp_path, "celery_jobs") as stage:
            assert metric.update() is None
            assert (metric.current, metric.measured) == (0, None), "it is not there"
            stage.ask("enqueue", 7)
            until(measure, Measurement(7, 0))
            for priority in range(10):
                stage.ask("enqueue", 1, priority=priority)
            stage.ask("enqueue", 3, countdown=3600)
            until(measure, Measurement(20, 0))  # nothing shows that some are for later
            stage.ask("purge")
            until(measure, Measurement(0, 0))

            stage.ask("enqueue", 20)
            with stage.worker(*WORKER) as worker:
                until(lambda: (stage.started(), measure()), (2, Measurement(18 - PREFETCHED, PREFETCHED)))
                kill(worker)
            until(measure, Measurement(18, 0))  # the broker gives back what was not acknowledged

            stage.ask("purge")
            stage.forget()
            stage.release()
            stage.ask("enqueue", 5)
            stage.ask("enqueue", 3, countdown=3600)
            with stage.worker(*WORKER) as worker:
                until(lambda: (stage.done(), measure()), (5, Measurement(0, 3)))
                stop(worker)
            until(measure, Measurement(3, 0))

        metric.missing = "held"
        rabbit.api("DELETE", "queues/%2F/jobs")
        with pytest.raises(MetricError, match="there is no queue jobs"):
            metric.update()


def test_the_url_is_that_of_either_broker() -> None:
    for good in ("redis://h", "http://h:15672", "HTTPS://h/"):
        check_either(good)
    for bad, said in (("amqp://h", "redis://"), ("http://h/?x=1", "management"), ("h", "redis://")):
        with pytest.raises(ConfigError, match=said):
            check_either(bad)
