"""pg-boss' jobs in every state, by real workers; the truth is in the books of the jobs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.pg_boss import PgBossMetric
from tests.frameworks.database_stage import NodeDatabaseStage
from tests.frameworks.stage import kill, stop, until


def test_every_state(postgresql: Any, redis: Any, look: Any, tmp_path: Path) -> None:
    with NodeDatabaseStage(postgresql, redis.url, tmp_path, "pg-boss") as stage:
        whole = look(PgBossMetric(stage.url, "jobs"))

        def measure() -> Measurement:
            return dataclasses.replace(whole(), oldest_age_s=None)

        with pytest.raises(MetricError, match=r'"pgboss.queue" does not exist .* the start of pg-boss'):
            whole()
        stage.ask("create")
        assert whole() == Measurement(0, 0), "it is empty"
        stage.ask("enqueue", 4, 0, {"expireInSeconds": 3, "retryLimit": 1, "retryDelay": 0})
        assert measure() == Measurement(4, 0)
        until(lambda: whole().oldest_age_s > 0.5, True)
        stage.ask("enqueue", 3, 3600)
        stage.ask("enqueue", 2, 1)
        until(measure, Measurement(6, 0, future=3))

        with stage.worker(*stage.node("worker", "2")) as worker:
            until(lambda: (stage.started(), measure()), (2, Measurement(4, 2, future=3)))
            kill(worker)
        until(measure, Measurement(4, 0, stuck=2, future=3))
        with stage.worker(*stage.node("worker", "2")) as worker:
            stage.release()
            until(measure, Measurement(0, 0, future=3))
            assert stage.done() == 6
            stop(worker)
        stage.ask("purge")
        assert whole() == Measurement(0, 0), "it is empty"


@pytest.mark.parametrize("policy", ["singleton", "stately", "key_strict_fifo"])
def test_jobs_that_wait_for_another_one_do_not_count(
    policy: str, postgresql: Any, redis: Any, look: Any, tmp_path: Path
) -> None:
    with NodeDatabaseStage(postgresql, redis.url, tmp_path, "pg-boss") as stage:
        stage.ask("create")
        stage.ask("createQueue", policy, {"policy": policy, "retryLimit": 0})
        measure = look(PgBossMetric(stage.url, policy))
        for key in ("a", "a", "a", "b"):
            stage.ask("enqueueFor", policy, 1, {"singletonKey": key})
        waiting = 2
        for taken in range(1, 3):
            assert measure().waiting == waiting
            assert stage.ask("fetch", policy) == 1
            waiting -= 1
            assert (measure().waiting, measure().running) == (waiting, taken)
        assert stage.ask("fetch", policy) == 0


def test_a_job_that_has_failed_holds_its_key(postgresql: Any, redis: Any, look: Any, tmp_path: Path) -> None:
    with NodeDatabaseStage(postgresql, redis.url, tmp_path, "pg-boss") as stage:
        stage.ask("create")
        stage.ask("createQueue", "strict", {"policy": "key_strict_fifo", "retryLimit": 0})
        measure = look(PgBossMetric(stage.url, "strict"))
        stage.ask("enqueueFor", "strict", 3, {"singletonKey": "a"})
        assert measure().waiting == 1
        stage.ask("failFetched", "strict")
        assert stage.ask("fetch", "strict") == 0
        assert measure() == Measurement(0, 0)
