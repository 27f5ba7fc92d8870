"""The side of PgQueuer."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from datetime import timedelta
from typing import Any

import psycopg
from books import work
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import PsycopgDriver

QUEUE = "jobs"
IDS = itertools.count()
URL = os.environ["JOBS_DATABASE"]
HEARTBEAT = timedelta(seconds=2)


async def connect() -> Any:
    return await psycopg.AsyncConnection.connect(URL, autocommit=True)


def ask(name: str, *args: Any, **kwargs: Any) -> None:
    """Calls one of the functions of PgQueuer's Queries."""

    async def asked() -> None:
        async with await connect() as connection:
            await getattr(Queries(PsycopgDriver(connection)), name)(*args, **kwargs)

    asyncio.run(asked())


def create() -> None:
    ask("install")


def enqueue(number: int, after_s: float = 0) -> None:
    if number:
        ids = [str(next(IDS)).encode() for _ in range(number)]
        after = [timedelta(seconds=after_s)] * number if after_s else [None] * number
        ask("enqueue", [QUEUE] * number, ids, [0] * number, after)


def purge() -> None:
    ask("clear_queue")


async def run() -> None:
    pgq = PgQueuer(PsycopgDriver(await connect()))

    @pgq.entrypoint(QUEUE)
    async def job(found: Any) -> None:
        await asyncio.to_thread(work, json.loads(found.payload))

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, pgq.shutdown.set)  # as its command does
    await pgq.run(
        batch_size=1,
        max_concurrent_tasks=int(sys.argv[1]),
        dequeue_timeout=timedelta(seconds=0.5),
        heartbeat_timeout=HEARTBEAT,
    )


if __name__ == "__main__":
    asyncio.run(run())
