"""The side of arq."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import unquote

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import create_worker
from common_jobs import IDS, QUEUE, URL, forget_all, work_async

settings = RedisSettings.from_dsn(URL)
settings.password = unquote(settings.password or "")  # arq takes it as it stands in the URL
loop = asyncio.new_event_loop()


async def job(context: dict[str, Any], id: int) -> None:
    await work_async(id)


async def _enqueue(number: int, **options: Any) -> None:
    pool = await create_pool(settings, default_queue_name=QUEUE)
    for _ in range(number):
        await pool.enqueue_job("job", next(IDS), **options)
    await pool.aclose()


def enqueue(number: int) -> None:
    loop.run_until_complete(_enqueue(number))


def enqueue_in(number: int, seconds: float) -> None:
    loop.run_until_complete(_enqueue(number, _defer_by=timedelta(seconds=seconds)))


purge = forget_all


class Settings:
    """It waits for its jobs when it is asked to end."""

    functions: ClassVar[list[Any]] = [job]
    queue_name = QUEUE
    max_jobs = 2
    redis_settings = settings
    poll_delay = 0.1
    job_completion_wait = 60


if __name__ == "__main__":
    worker = create_worker(Settings)
    worker.in_progress_timeout_s = (
        4  # after that, and not 310 s, the jobs of one that is killed may run again
    )
    worker.run()
