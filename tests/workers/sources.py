"""Jobs that scale-downs end in the middle, where the source of the queue shows which worker has one.

python -m tests.workers.sources [--changes 60] [--kinds NSQ,RQ] [--seed 1]

As scripts/bench_drain.py, with workers of NSQ and of RQ in containers, jobs of 0.2 to 3 s and a grace of 1 s:
first SIGTERM and the grace alone, then `busy: source`. Needs an engine, and scripts/test-services.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from docker import APIClient

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.tasks import Tasks
from scripts.bench_drain import CAP, JOB_S, WAITING, Figures, pass_time, scheduler_of
from tests.integration import engines
from tests.services.redis import RedisServer
from tests.services.service import free_port, wait_for
from tests.workers import stage

HERE = Path(stage.__file__).parent
NAMES = ("bench-a", "bench-b")
STEP_S = {"NSQ": 1.0, "RQ": 2.5}
"""Seconds between two changes: a worker has to have begun by then."""
FEEDER = """\
import sys, redis, rq
queue = rq.Queue('jobs-of-rq', connection=redis.Redis.from_url(sys.argv[1]))
for line in sys.stdin:
    id, seconds = line.split()
    queue.enqueue('jobs.rq_job', id, float(seconds), result_ttl=0)
"""


class Broker(Protocol):
    """A queue with its books."""

    config: dict[str, Any]

    def push(self, id: str, seconds: float) -> None:
        """Adds a job."""

    def waiting(self) -> int:
        """Returns the jobs that no worker has."""

    def books(self) -> tuple[Counter[str], Counter[str]]:
        """Returns how often each job began, and how often it ended."""


class NSQ:
    """One nsqd in a container on the host's network."""

    def __init__(self, engine: APIClient, folder: Path, stack: contextlib.ExitStack) -> None:
        tcp, self.http = (f"127.0.0.1:{free_port()}" for _ in range(2))
        host = engine.create_host_config(network_mode="host")
        words = ["/nsqd", f"-tcp-address={tcp}", f"-http-address={self.http}", "-data-path=/data"]
        id = engine.create_container("microscaling-base/nsq", words, host_config=host)["Id"]
        stack.callback(engine.remove_container, id, force=True, v=True)
        engine.start(id)
        wait_for(self._answers, "nsqd does not answer", 30)
        self.log = folder / "log"
        self.log.touch()
        self.config = {
            "metricType": "NSQ", "nsqd": self.http, "topicName": "jobs", "channelName": "work",
            "command": ["python3", "/workers/nsq_worker.py", tcp, "jobs", "work", "/log/log"],
            "volumes": [f"{HERE}:/workers:ro", f"{folder}:/log"],
        }  # fmt: skip

    def push(self, id: str, seconds: float) -> None:
        self._ask("pub?topic=jobs", f"{id}-{seconds:.2f}".encode())

    def waiting(self) -> int:
        topics = json.loads(self._ask("stats?format=json&topic=jobs"))["topics"] or ()
        return sum(one["depth"] for topic in topics for one in (topic, *(topic["channels"] or ())))

    def books(self) -> tuple[Counter[str], Counter[str]]:
        lines = [line.split() for line in self.log.read_text().splitlines()]
        began, ended = (Counter(job for word, job in lines if word == kind) for kind in ("start", "end"))
        return began, ended

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self._ask("ping") == b"OK"
        return False

    def _ask(self, path: str, data: bytes | None = None) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{self.http}/{path}", data, timeout=5) as answer:
            found: bytes = answer.read()
            return found


class RQ:
    """One queue of RQ in a Redis."""

    def __init__(self, engine: APIClient, folder: Path, stack: contextlib.ExitStack) -> None:
        server = stack.enter_context(RedisServer(folder))
        self.redis = stack.enter_context(contextlib.closing(server.client()))
        path = {"PYTHONPATH": f"{stage.PACKAGES}:{HERE}", "JOBS_REDIS": server.url, "PATH": "/usr/bin:/bin"}
        words = [sys.executable, "-c", FEEDER, server.url]
        self.feeder = subprocess.Popen(words, env=path, stdin=subprocess.PIPE, text=True)
        stack.callback(self.feeder.communicate)
        self.pushed = 0
        env = {"PYTHONPATH": "/packages:/workers", "JOBS_REDIS": server.url, "PYTHONDONTWRITEBYTECODE": "1"}
        self.config = {
            "metricType": "RQ", "url": server.url, "queueName": "jobs-of-rq", "env": env,
            "command": "python3 " + stage.FRAMEWORKS["rq"].format(url=server.url),
            "volumes": [f"{stage.PACKAGES}:/packages:ro", f"{HERE}:/workers:ro"],
        }  # fmt: skip

    def push(self, id: str, seconds: float) -> None:
        assert self.feeder.stdin is not None
        self.feeder.stdin.write(f"{id} {seconds:.2f}\n")
        self.feeder.stdin.flush()
        self.pushed += 1

    def waiting(self) -> int:
        # What the feeder has not passed on yet waits, too.
        return self.pushed - self.redis.llen("rq:started")

    def books(self) -> tuple[Counter[str], Counter[str]]:
        started, done = (self.redis.lrange(f"rq:{name}", 0, -1) for name in ("started", "done"))
        return Counter(line.decode().split()[0] for line in started), Counter(id.decode() for id in done)


BROKERS = {"NSQ": NSQ, "RQ": RQ}


def configured(broker: Broker, image: str, by_source: bool) -> Tasks:
    """Returns two tasks that work on the same queue."""
    config = {**broker.config, "image": image, "targetQueueLength": 1, "stopGraceSeconds": 1}
    kind = config.pop("metricType")
    if by_source:
        config |= {"busy": "source", "drain": {"seconds": 120}}
    apps = [
        {"name": name, "priority": at, "maxContainers": CAP, "ruleType": "Queue", "metricType": kind,
         "config": config}
        for at, name in enumerate(NAMES)
    ]  # fmt: skip
    return Tasks(*apps_from_parsed({"maxContainers": CAP, "apps": apps}))


def run(engine: APIClient, kind: str, by_source: bool, changes: int, seed: int) -> Figures:
    """Changes the shares so many times; returns what became of the jobs."""
    rng, begun = random.Random(seed), time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workers-")))
        broker = BROKERS[kind](engine, folder, stack)
        tasks = configured(broker, stage.find_image(engine), by_source)
        numbers = iter(range(10**6))
        with scheduler_of("DOCKER", folder, tasks) as scheduler:
            share, done = [4, 4], 0
            while done < changes:
                with tasks:
                    for task, count in zip(tasks.tasks, share, strict=True):
                        task.demand = count
                scheduler.stop_start_tasks(tasks)
                for _ in range(WAITING - broker.waiting()):
                    broker.push(f"job{next(numbers)}", rng.uniform(*JOB_S))
                pass_time(scheduler, tasks, STEP_S[kind])
                new = [rng.randint(0, CAP), 0]
                new[1] = rng.randint(0, CAP - new[0])
                done += any(after < before for after, before in zip(new, share, strict=True))
                share = new
        began, ended = broker.books()
    cut = sum((began - ended).values())
    return Figures(changes, len(began), cut, sum(n > 1 for n in began.values()), time.monotonic() - begun)


def kinds_of(text: str) -> Iterator[str]:
    """Yields the kinds in a list."""
    for kind in text.split(","):
        if kind not in BROKERS:
            raise SystemExit(f"--kinds: expected {', '.join(BROKERS)}, got {kind}")
        yield kind


def main() -> int:
    """Prints a table; returns 1 if `busy: source` has cut off or repeated a job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--kinds", default="NSQ,RQ")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    engine = engines.connect()
    print(f"{'':10}{'':22}{'scale-downs':>12}{'jobs':>7}{'cut':>6}{'twice':>7}{'seconds':>9}")
    bad = 0
    for kind in kinds_of(given.kinds):
        for by_source, what in ((False, "SIGTERM and the grace"), (True, "busy: source")):
            of = run(engine, kind, by_source, given.changes, given.seed)
            bad += by_source * (of.lost + of.repeated)
            print(f"{kind:10}{what:22}{of.changes:12}{of.jobs:7}{of.lost:6}{of.repeated:7}{of.seconds:9.0f}",
                  flush=True)  # fmt: skip
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
