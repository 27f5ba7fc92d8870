"""The side of Huey: a queue, and one with priorities, of which the name is no key as it stands."""

from __future__ import annotations

import huey
from common_jobs import IDS, QUEUE, URL, work

jobs = huey.RedisHuey(QUEUE, url=URL)
jobs_by_priority = huey.PriorityRedisHuey(f"{QUEUE}-by-priority", url=URL)
job = jobs.task(name="job")(work)
job_by_priority = jobs_by_priority.task(name="job")(work)


def enqueue(number: int) -> None:
    for _ in range(number):
        job(next(IDS))


def enqueue_in(number: int, seconds: float) -> None:
    for _ in range(number):
        job.schedule((next(IDS),), delay=seconds)


def enqueue_by_priority(number: int, priority: int) -> None:
    for _ in range(number):
        job_by_priority(next(IDS), priority=priority)


def purge() -> None:
    jobs.flush()
