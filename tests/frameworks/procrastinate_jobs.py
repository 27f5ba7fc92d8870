"""The side of Procrastinate."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from typing import Any

import procrastinate
from books import work

QUEUE = "jobs"
IDS = itertools.count()
URL = os.environ["JOBS_DATABASE"]
is_worker = __name__ == "__main__"
connector = (procrastinate.PsycopgConnector if is_worker else procrastinate.SyncPsycopgConnector)(
    conninfo=URL
)
app = procrastinate.App(connector=connector)


@app.task(name="job", queue=QUEUE)
def job(id: int, seconds: float | None = None) -> None:
    work(id, seconds)


def create() -> None:
    app.open()
    app.schema_manager.apply_schema()


def enqueue(number: int) -> None:
    for _ in range(number):
        job.defer(id=next(IDS))


def enqueue_in(number: int, seconds: float) -> None:
    for _ in range(number):
        job.configure(schedule_in={"seconds": seconds}).defer(id=next(IDS))


def enqueue_with_lock(number: int, lock: str, seconds: float = 0) -> None:
    for _ in range(number):
        job.configure(lock=lock, schedule_in={"seconds": seconds} if seconds else None).defer(id=next(IDS))


def put(jobs: list[dict[str, Any]]) -> None:
    """Enqueues the jobs of the end-to-end proof."""
    for each in jobs:
        later = {"schedule_in": {"seconds": each["delay"]}} if each["delay"] else {}
        job.configure(priority=int(each["other"]), **later).defer(id=each["id"], seconds=each["seconds"])


def retry_stalled() -> None:
    """What the application has to do for jobs of workers that are gone."""

    async def retry() -> None:
        other = app.with_connector(procrastinate.PsycopgConnector(conninfo=URL))
        async with other.open_async():
            for stalled in await other.job_manager.get_stalled_jobs(seconds_since_heartbeat=2):
                await other.job_manager.retry_job(stalled)

    asyncio.run(retry())


def purge() -> None:
    connector.execute_query("TRUNCATE procrastinate_jobs CASCADE")


if is_worker:
    app.run_worker(
        queues=[QUEUE],
        concurrency=int(sys.argv[1]),
        update_heartbeat_interval=0.5,
        stalled_worker_timeout=2,
        fetch_job_polling_interval=0.5,
        delete_jobs="never",
    )
