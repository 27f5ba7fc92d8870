"""The side of Celery."""

from __future__ import annotations

import itertools
import os
from typing import Any

from books import work
from celery import Celery

URL = os.environ.get("JOBS_AMQP") or os.environ["JOBS_REDIS"]
QUEUE = "jobs"
IDS = itertools.count()

app = Celery("celery_jobs", broker=URL)
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": os.environ.get("JOBS_PREFIX", "")},
)
if "JOBS_AMQP" in os.environ:
    app.conf.task_queue_max_priority = 10


@app.task(name="job")
def job(id: int, seconds: float | None = None) -> None:
    work(id, seconds)


def enqueue(number: int, **options: object) -> None:
    for _ in range(number):
        job.apply_async((next(IDS),), **options)


def put(jobs: list[dict[str, Any]]) -> None:
    """Enqueues the jobs of the end-to-end proof."""
    for each in jobs:
        options = {"countdown": each["delay"]} if each["delay"] else {}
        # In Redis the lowest number comes first, and the key of the others is that of the queue with it.
        options |= {"priority": 9} if each["other"] else {}
        job.apply_async((each["id"], each["seconds"]), **options)


def purge() -> int:
    with app.connection_for_write() as connection:
        return app.amqp.queues[QUEUE](connection.default_channel).purge()
