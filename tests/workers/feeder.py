"""Keeps both queues filled, so that every worker is always at a job; ends when its standard input does."""

from __future__ import annotations

import os
import random
import select
import sys

import jobs
import redis
import rq

WAITING = 20


def main() -> None:
    connection = redis.Redis.from_url(os.environ["JOBS_REDIS"])
    queue = rq.Queue(jobs.RQ_QUEUE, connection=connection)
    numbers = iter(range(10**9))
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        for _ in range(WAITING - connection.llen(jobs.CELERY_QUEUE)):
            id = str(next(numbers))
            jobs.celery_job.delay(id, _seconds())
            connection.incr("celery:enqueued")
        for _ in range(WAITING - connection.llen(queue.key)):
            id = str(next(numbers))
            queue.enqueue(jobs.rq_job, id, _seconds(), result_ttl=0)
            connection.incr("rq:enqueued")


def _seconds() -> float:
    return random.uniform(0.3, 1.5)


if __name__ == "__main__":
    main()
