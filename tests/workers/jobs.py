"""The jobs of the workers, as Celery and RQ import them; each keeps its books in Redis.

A module of its own, without the package: it runs where only Celery, RQ and redis are.
"""

from __future__ import annotations

import os
import time
import uuid

import redis
import rq
from celery import Celery

WORKER = uuid.uuid4().hex
"""Of Celery: its children are forks of what has imported this."""
URL = os.environ["JOBS_REDIS"]
CELERY_QUEUE, RQ_QUEUE = "jobs-of-celery", "jobs-of-rq"

app = Celery("jobs", broker=URL)
app.conf.update(
    task_default_queue=CELERY_QUEUE,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


def work(framework: str, worker: str, id: str, seconds: float) -> None:
    """One job: writes down its start, with its worker, and its end."""
    books = redis.Redis.from_url(URL)
    books.rpush(f"{framework}:started", f"{id} {worker}")
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(left)
    books.rpush(f"{framework}:done", id)
    books.close()


@app.task(name="celery_job")
def celery_job(id: str, seconds: float) -> None:
    work("celery", WORKER, id, seconds)


def rq_job(id: str, seconds: float) -> None:
    job = rq.get_current_job()
    assert job is not None
    work("rq", job.worker_name or "", id, seconds)
