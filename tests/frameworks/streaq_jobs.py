"""The side of Streaq."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote, urlsplit

from common_jobs import IDS, QUEUE, URL, forget_all, work_async
from streaq import Worker

loop = asyncio.new_event_loop()
address = urlsplit(URL)
worker = Worker(
    redis_url=f"redis://{address.hostname}:{address.port}{address.path}",
    redis_kwargs={"password": unquote(address.password or "")},  # it takes that of a URL as it stands there
    queue_name=QUEUE,
    priorities=["low", "high"],
    concurrency=2,
    idle_timeout=3,
    grace_period=60,
)


@worker.task(name="job")
async def job(id: int) -> None:
    await work_async(id)


async def _enqueue(number: int, **options: Any) -> None:
    async with worker:
        for _ in range(number):
            await job.enqueue(next(IDS)).start(**options)


def enqueue(number: int, **options: Any) -> None:
    loop.run_until_complete(_enqueue(number, **options))


purge = forget_all
