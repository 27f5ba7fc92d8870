"""The side of RQ."""

from __future__ import annotations

import itertools
import os
import sys
from datetime import timedelta
from typing import Any

import redis
import rq
from books import work
from rq.suspension import resume as rq_resume
from rq.suspension import suspend as rq_suspend

QUEUE = "jobs"
IDS = itertools.count()
connection = redis.Redis.from_url(os.environ["JOBS_REDIS"])
queue = rq.Queue(QUEUE, connection=connection)


def job(id: int, seconds: float | None = None) -> None:
    work(id, seconds)


def enqueue(number: int) -> None:
    for _ in range(number):
        queue.enqueue("rq_jobs.job", next(IDS))


def enqueue_in(number: int, seconds: float) -> None:
    for _ in range(number):
        queue.enqueue_in(timedelta(seconds=seconds), "rq_jobs.job", next(IDS))


def enqueue_after_another() -> None:
    """A job that waits for another one."""
    queue.enqueue("rq_jobs.job", next(IDS), depends_on=queue.jobs[-1])


def put(jobs: list[dict[str, Any]]) -> None:
    """Enqueues the jobs of the end-to-end proof."""
    for each in jobs:
        called = ("rq_jobs.job", each["id"], each["seconds"])
        if each["delay"]:
            queue.enqueue_in(timedelta(seconds=each["delay"]), *called)
        else:
            queue.enqueue(*called, at_front=each["other"])


def suspend() -> None:
    rq_suspend(connection)


def resume() -> None:
    rq_resume(connection)


def failed() -> int:
    return len(queue.failed_job_registry)


def purge() -> None:
    connection.flushdb()


class Quick(rq.Worker):
    """Finds out in seconds that another worker is gone."""

    def get_heartbeat_ttl(self, job: rq.job.Job) -> int:
        return 2


if __name__ == "__main__":
    Quick([queue], connection=connection, job_monitoring_interval=1).work(
        with_scheduler="scheduler" in sys.argv
    )
