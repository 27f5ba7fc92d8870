"""The side of Taskiq: a list, and a stream."""

from __future__ import annotations

import asyncio

from common_jobs import IDS, QUEUE, URL, forget_all, work_async
from taskiq_redis import ListQueueBroker, RedisStreamBroker

loop = asyncio.new_event_loop()
by_list = ListQueueBroker(URL, queue_name=QUEUE)
by_stream = RedisStreamBroker(URL, queue_name=f"{QUEUE}-stream", idle_timeout=2000)
job_of = {
    "list": by_list.register_task(work_async, task_name="job"),
    "stream": by_stream.register_task(work_async, task_name="job"),
}


async def _enqueue(number: int, kind: str) -> None:
    for _ in range(number):
        await job_of[kind].kiq(next(IDS))


def begin() -> None:
    """Makes the stream and its group."""
    loop.run_until_complete(by_stream.startup())


def enqueue(number: int, kind: str = "list") -> None:
    loop.run_until_complete(_enqueue(number, kind))


purge = forget_all
