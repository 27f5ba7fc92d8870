"""The frameworks of the end-to-end proof: their services, their workers, and both ways to measure them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.frameworks.database_stage import DatabaseStage
from tests.frameworks.end_to_end import Framework
from tests.frameworks.stage import HERE, NodeStage, RubyStage, Stage
from tests.services.postgresql import PostgreSQL
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis import RedisServer
from tests.services.service import find

REDIS = {"url": "${JOBS_REDIS}"}
QUEUE = {**REDIS, "queueName": "jobs"}
CELERY = (sys.executable, "-m", "celery", "-A", "celery_jobs", "worker", "-c", "2",
          "--without-gossip", "--without-mingle", "--without-heartbeat")  # fmt: skip


def on_redis(kind: type[Stage], module: str) -> Callable[[Path], AbstractContextManager[Stage]]:
    """A stage whose service is the Redis of the books."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Stage]:
        with RedisServer(folder) as redis, kind(redis.url, folder, module) as stage:
            yield stage

    return opened


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Stage]:
    (folder / "broker").mkdir()
    with RedisServer(folder) as redis, RabbitMQ(folder / "broker") as broker:
        stage = Stage(redis.url, folder, "rabbitmq_jobs")
        stage.environ |= {"JOBS_AMQP": broker.amqp, "JOBS_MANAGEMENT": managed(broker.url)}
        with stage:
            stage.ask("declare")
            yield stage


@contextmanager
def procrastinate(folder: Path) -> Iterator[Stage]:
    with (
        RedisServer(folder) as redis,
        PostgreSQL(folder) as server,
        DatabaseStage(server, redis.url, folder, "procrastinate_jobs") as stage,
    ):
        stage.ask("create")
        yield stage


def managed(url: str) -> str:
    """The URL of the management with the user's name in it."""
    return url.replace("://", "://guest:guest@")


def naive(key: str) -> Mapping[str, Any]:
    """The fields of a list's length."""
    return {**REDIS, "key": key}


def module(name: str, *more: str) -> Callable[[Stage], list[str]]:
    """The command of a worker that is a module of this folder."""
    return lambda stage: [sys.executable, str(HERE / name), *more]


def celery(stage: Stage) -> list[str]:
    return [*CELERY]


def bullmq(stage: Stage) -> list[str]:
    assert isinstance(stage, NodeStage)
    return stage.node("worker")


def sidekiq(stage: Stage) -> list[str]:
    jobs = str(HERE / "sidekiq_jobs.rb")
    return [find("sidekiq"), "-r", jobs, "-q", "urgent", "-q", "jobs", "-c", "2"]


TODO = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'"
MANAGEMENT = "${JOBS_MANAGEMENT}"
FOUND = [
    Framework(
        "Celery", on_redis(Stage, "celery_jobs"), celery,
        "Celery", QUEUE,
        "Redis", naive("jobs"),
    ),
    Framework(
        "RQ", on_redis(Stage, "rq_jobs"), module("rq_jobs.py", "scheduler"),
        "RQ", QUEUE,
        "Redis", naive("rq:queue:jobs"),
    ),
    Framework(
        "BullMQ", on_redis(NodeStage, "bullmq6"), bullmq,
        "BullMQ", QUEUE,
        "Redis", naive("bull:jobs:wait"),
    ),
    Framework(
        "Sidekiq", on_redis(RubyStage, "sidekiq_jobs"), sidekiq,
        "Sidekiq", {**REDIS, "sources": [{"queueName": "jobs"}, {"queueName": "urgent"}]},
        "Redis", {**REDIS, "sources": [{"key": "queue:jobs"}, {"key": "queue:urgent"}]},
    ),
    Framework(
        "RabbitMQ", rabbitmq, module("rabbitmq_jobs.py", "jobs"),
        "RabbitMQ", {"url": MANAGEMENT, "queueName": "jobs"},
        "HTTP", {"url": f"{MANAGEMENT}/api/queues/%2F/jobs", "path": "messages_ready"},
    ),
    Framework(
        "Procrastinate", procrastinate, module("procrastinate_jobs.py", "2"),
        "Procrastinate", {"url": "${JOBS_DATABASE}", "queueName": "jobs"},
        "SQL", {"databaseURL": "${JOBS_DATABASE}", "query": TODO},
    ),
]  # fmt: skip
ALL = {framework.name: framework for framework in FOUND}
