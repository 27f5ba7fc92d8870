"""The side of Dramatiq."""

from __future__ import annotations

import dramatiq
from common_jobs import IDS, QUEUE, URL, work
from dramatiq.brokers.redis import RedisBroker

# Here a heartbeat is late after seconds, and workers look for that at each command, not at every thousandth.
broker = RedisBroker(url=URL, heartbeat_timeout=3000, maintenance_chance=1_000_000)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=QUEUE)
def job(id: int) -> None:
    work(id)


def enqueue(number: int, **options: object) -> None:
    for _ in range(number):
        job.send_with_options(args=(next(IDS),), **options)


def purge() -> None:
    broker.flush(QUEUE)
