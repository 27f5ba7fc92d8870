"""The side of Celery."""

from __future__ import annotations

import itertools
import os
import time

import redis
from celery import Celery

URL = os.environ["JOBS_REDIS"]
QUEUE = "jobs"
IDS = itertools.count()

app = Celery("celery_jobs", broker=URL)
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": os.environ.get("JOBS_PREFIX", "")},
)


@app.task(name="job")
def job(id: int) -> None:
    books = redis.Redis.from_url(os.environ["JOBS_BOOKS"])
    books.rpush("started", id)
    while not books.exists("release"):
        time.sleep(0.02)
    books.rpush("done", id)
    books.close()


def enqueue(number: int, **options: object) -> None:
    for _ in range(number):
        job.apply_async((next(IDS),), **options)


def purge() -> int:
    with app.connection_for_write() as connection:
        return app.amqp.queues[QUEUE](connection.default_channel).purge()
