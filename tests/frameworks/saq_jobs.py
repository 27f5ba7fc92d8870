"""The side of SAQ."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from common_jobs import IDS, QUEUE, URL, forget_all, work_async
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

loop = asyncio.new_event_loop()
queue = RedisQueue(Redis.from_url(URL), name=QUEUE)


async def job(context: dict[str, Any], *, id: int) -> None:
    await work_async(id)


async def _enqueue(number: int, timeout: int = 60, **options: Any) -> None:
    for _ in range(number):
        # A job may run again after a worker that is gone, once its time is over.
        await queue.enqueue("job", id=next(IDS), timeout=timeout, retries=5, **options)


def enqueue(number: int, timeout: int = 60) -> None:
    loop.run_until_complete(_enqueue(number, timeout))


def enqueue_in(number: int, seconds: float) -> None:
    loop.run_until_complete(_enqueue(number, scheduled=int(time.time() + seconds)))


purge = forget_all


def do_not_sweep() -> None:
    """No worker looks for jobs of others. At its start it would take those that it has just got for such."""
    loop.run_until_complete(queue.redis.set(queue.namespace("sweep"), 1))


def sweep() -> int:
    """Does as a worker does once a minute: jobs whose time is over go back into the queue."""
    loop.run_until_complete(queue.redis.delete(queue.namespace("sweep")))
    return len(loop.run_until_complete(queue.sweep(60, abort=0.1)))


# An idle worker, too, ends only after each timer, and the wait for a job, is over.
settings = {
    "queue": queue,
    "functions": [job],
    "concurrency": 2,
    "timers": {"schedule": 1, "worker_info": 1, "sweep": 1, "abort": 1},
    "shutdown_grace_period_s": 60,
    "dequeue_timeout": 1,
}
