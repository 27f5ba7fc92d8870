"""What the sides of the frameworks of Python have in common."""

from __future__ import annotations

import asyncio
import itertools
import os
import time

import books
import redis

URL = os.environ["JOBS_REDIS"]
QUEUE = "jobs"
IDS = itertools.count()


def work(id: int) -> None:
    books.work(id)


async def work_async(id: int) -> None:
    """The same for a framework that runs its jobs in an event loop."""
    with redis.Redis.from_url(books.URL) as client:
        client.rpush("started", f"{id} {time.time():.3f}")
        while not client.exists("release"):
            await asyncio.sleep(books.LOOK_S)
        client.rpush("done", f"{id} {time.time():.3f}")


def forget_all() -> None:
    with redis.Redis.from_url(URL) as client:
        client.flushdb()
