"""The books of the jobs of a framework of Python. It runs where only the framework and redis are."""

from __future__ import annotations

import os
import time

import redis

URL = os.environ["JOBS_BOOKS"]
LOOK_S = 0.02


def work(id: object, seconds: float | None = None) -> None:
    """One job: writes its start and its end down. It takes so long, or until all jobs are released."""
    books = redis.Redis.from_url(URL)
    books.rpush("started", f"{id} {time.time():.3f}")
    if seconds is None:
        while not books.exists("release"):
            time.sleep(LOOK_S)
    else:
        time.sleep(seconds)
    books.rpush("done", f"{id} {time.time():.3f}")
    books.close()
