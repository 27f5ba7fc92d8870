"""The cost of measuring the queues of many job frameworks in one Redis, for the agent and for Redis itself.

    python -m scripts.bench_sources [--tasks 200] [--jobs 40] [--seconds 30]

Every task has a queue of its own; the frameworks take turns. Each queue has so many jobs that wait (the keys
are written as the frameworks write them), and a tenth as many for later. Twice a second, as in the agent, all
are asked about and read. Prints the agent's share of a core, by its processor time, and the milliseconds that
Redis works for each beat, by its own count, less those that it needs without any question (it looks after
itself ten times a second). Ends with 1 above 5 % or 3 ms.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from microscaling.demand.task import Task
from microscaling.engine.readings import Readings
from microscaling.metric.base import METRICS, Measurement, Metric
from microscaling.metric.redis_jobs import JobsMetric
from microscaling.metric.redis_stream import RedisStreamMetric
from tests.services.redis import RedisServer

BEAT_S = 0.5
MOST_OF_A_CORE = 0.05
MOST_MS = 3.0
IDLE_S = 5.0
PAYLOAD = "x" * 300
HOUR_S = 3600.0


class Fill:
    """Writes the jobs of one queue."""

    def __init__(self, pipe: Any, name: str, jobs: int) -> None:
        self.pipe, self.name = pipe, name
        self.ids = [f"{name}-{i}" for i in range(max(1, jobs))]
        self.later = [f"{name}-later-{i}" for i in range(jobs // 10)]
        self.now = time.time()

    def list_of(self, key: str, entries: list[str]) -> None:
        if entries:
            self.pipe.rpush(key, *entries)

    def set_of(self, key: str, ids: list[str], score: float) -> None:
        if ids:
            self.pipe.zadd(key, dict.fromkeys(ids, score))

    def stream(self, key: str, group: str) -> None:
        for name in self.ids:
            self.pipe.xadd(key, {"task_id": name})
        self.pipe.xgroup_create(key, group, "0")

    def celery(self) -> None:
        message = {"body": PAYLOAD, "headers": {"id": self.name, "eta": None}}
        eta = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now + HOUR_S))
        self.list_of(self.name, [json.dumps(message)] * len(self.ids))
        self.list_of(self.name, [json.dumps({**message, "headers": {"eta": eta}})] * len(self.later))

    def rq(self) -> None:
        self.list_of(f"rq:queue:{self.name}", self.ids)
        self.set_of(f"rq:scheduled:{self.name}", self.later, self.now + HOUR_S)
        self.pipe.hset(f"rq:job:{self.ids[0]}", "enqueued_at", "2026-01-01T00:00:00.0Z")

    def dramatiq(self) -> None:
        message = json.dumps({"args": [PAYLOAD], "options": {"eta": (self.now + HOUR_S) * 1000}})
        for ids, suffix in ((self.ids, ""), (self.later, ".DQ")):
            self.list_of(f"dramatiq:{self.name}{suffix}", ids)
            for name in ids:
                self.pipe.hset(f"dramatiq:{self.name}{suffix}.msgs", name, message)

    def huey(self) -> None:
        name = self.name.replace("-", "")
        self.list_of(f"huey.redis.{name}", [PAYLOAD] * len(self.ids))
        self.set_of(f"huey.schedule.{name}", self.later, self.now + HOUR_S)

    def arq(self) -> None:
        self.set_of(self.name, self.ids, self.now * 1000)
        self.set_of(self.name, self.later, (self.now + HOUR_S) * 1000)

    def saq(self) -> None:
        self.list_of(f"saq:{self.name}:queued", self.ids)
        self.set_of(f"saq:{self.name}:incomplete", self.later, self.now + HOUR_S)

    def taskiq(self) -> None:
        self.list_of(self.name, [PAYLOAD] * len(self.ids))

    def streaq(self) -> None:
        self.stream(f"streaq:{self.name}:queues:normal", "workers")
        self.set_of(f"streaq:{self.name}:queues:delayed:normal", self.later, (self.now + HOUR_S) * 1000)

    def bull(self) -> None:
        self.list_of(f"bull:{self.name}:wait", self.ids)
        self.set_of(f"bull:{self.name}:delayed", self.later, (self.now + HOUR_S) * 1000 * 4096)
        self.pipe.hset(f"bull:{self.name}:{self.ids[-1]}", "timestamp", int(self.now * 1000))

    def beequeue(self) -> None:
        self.list_of(f"bq:{self.name}:waiting", self.ids)
        self.set_of(f"bq:{self.name}:delayed", self.later, (self.now + HOUR_S) * 1000)

    def asynq(self) -> None:
        base = f"asynq:{{{self.name}}}"
        self.list_of(f"{base}:pending", self.ids)
        self.set_of(f"{base}:scheduled", self.later, self.now + HOUR_S)
        self.pipe.hset(f"{base}:t:{self.ids[-1]}", "pending_since", int(self.now * 1e9))

    def sidekiq(self) -> None:
        job = json.dumps({"queue": self.name, "args": [PAYLOAD], "enqueued_at": self.now})
        self.list_of(f"queue:{self.name}", [job] * len(self.ids))

    def laravel(self) -> None:
        job = json.dumps({"data": PAYLOAD, "createdAt": int(self.now)})
        self.list_of(f"laravel_database_queues:{self.name}", [job] * len(self.ids))
        self.set_of(f"laravel_database_queues:{self.name}:delayed", self.later, self.now + HOUR_S)

    def redisstream(self) -> None:
        self.stream(self.name, "workers")

    bullmq = n8n = bull


def metrics(url: str, tasks: int) -> Iterator[tuple[Metric, Callable[[Fill], None]]]:
    """Returns the metrics of so many tasks, and the function that fills the queue of each."""
    kinds: list[Any] = [kind for kind in METRICS.ours() if issubclass(kind, JobsMetric)]
    for i in range(tasks):
        kind = kinds[i % len(kinds)]
        more = ("workers",) if kind is RedisStreamMetric else ()
        yield kind(url, f"jobs-{i}", *more), getattr(Fill, kind.type_name.lower())


def redis_s(client: Any) -> float:
    """Returns the processor time of Redis (seconds)."""
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def measure(url: str, client: Any, args: argparse.Namespace) -> tuple[float, float]:
    """Prints all numbers. Returns the share of a core, and the milliseconds of Redis for each beat."""
    chosen = list(metrics(url, args.tasks))
    with client.pipeline(transaction=False) as pipe:
        for metric, fill in chosen:
            fill(Fill(pipe, metric.queue, args.jobs))  # type: ignore[attr-defined]
        pipe.execute()
    readings = Readings([Task(metric.queue, metric=metric) for metric, _ in chosen], 3 * BEAT_S)  # type: ignore[attr-defined]
    [poll] = readings.polls
    for metric, _ in chosen:
        found = metric.read(poll.source.fetch())
        waiting = found.waiting if isinstance(found, Measurement) else found
        # Celery counts those for later, too, once there are too many to look at.
        assert waiting in (args.jobs, args.jobs + args.jobs // 10), f"{metric.type_name}: {found}"
    print("tasks:", dict(collections.Counter(metric.type_name for metric, _ in chosen)))
    since_s = redis_s(client)
    time.sleep(IDLE_S)
    idle_ms = (redis_s(client) - since_s) / IDLE_S * BEAT_S * 1000
    beats = int(args.seconds / BEAT_S)
    before, since, begun = redis_s(client), time.process_time(), time.monotonic()
    for beat in range(beats):
        time.sleep(max(0.0, begun + beat * BEAT_S - time.monotonic()))
        answer = poll.source.fetch()
        for metric, _ in chosen:
            metric.note(metric.read(answer))
    own_s, of_redis_s = time.process_time() - since, redis_s(client) - before
    poll.source.close()
    core, ms = own_s / beats / BEAT_S, of_redis_s / beats * 1000 - idle_ms
    print(
        f"{args.tasks} tasks, {args.jobs} jobs each: {core:.1%} of a core, Redis {ms:.1f} ms a beat, and "
        f"{idle_ms:.1f} ms without any question"
    )
    return core, ms


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder)) as server,
        server.client() as client,
    ):
        core, ms = measure(server.url, client, args)
    return int(core > MOST_OF_A_CORE or ms > MOST_MS)


if __name__ == "__main__":
    sys.exit(main())
