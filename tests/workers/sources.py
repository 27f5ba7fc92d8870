"""Jobs that scale-downs end in the middle, where the source of the queue shows which worker has one.

python -m tests.workers.sources [--changes 60] [--kinds NSQ,RQ] [--job-s 20] [--load 0.6] [--beside]

As scripts/bench_drain.py, with workers of NSQ and of RQ in containers, jobs of 0.2 to 3 s and a grace of 1 s:
first SIGTERM and the grace alone, then `busy: source`, then with SIGTERM as the quiet signal, after which
these workers take no job. With --beside all at the same time, each on an engine of its own (as root, with
dockerd). Without --load all workers are busy all the time. Needs an engine, and scripts/test-services.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Protocol

from docker import APIClient

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.tasks import Tasks
from scripts.bench_drain import CAP, JOB_S, WAITING, pass_time, scheduler_of
from tests.integration import engines
from tests.integration.agents import ROOT
from tests.integration.engines import LABEL
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


WAYS = {"grace": "SIGTERM and the grace", "source": "busy: source", "quiet": "the same, signal: TERM"}


@dataclass(frozen=True)
class Figures:
    """The jobs of one run, its changes, and the containers that they ended."""

    changes: int
    ended: int
    jobs: int
    cut: int
    repeated: int
    seconds: float


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


def configured(broker: Broker, image: str, way: str) -> Tasks:
    """Returns two tasks that work on the same queue."""
    config = {**broker.config, "image": image, "targetQueueLength": 1, "stopGraceSeconds": 1, "init": True}
    kind = config.pop("metricType")
    if way != "grace":
        config |= {
            "busy": "source",
            "drain": {"seconds": 120, **({"signal": "TERM"} if way == "quiet" else {})},
        }
    apps = [
        {"name": name, "priority": at, "maxContainers": CAP, "ruleType": "Queue", "metricType": kind,
         "config": config}
        for at, name in enumerate(NAMES)
    ]  # fmt: skip
    return Tasks(*apps_from_parsed({"maxContainers": CAP, "apps": apps}))


def run(engine: APIClient, kind: str, way: str, given: argparse.Namespace) -> Figures:
    """Changes the shares so many times; returns what became of the jobs."""
    rng, begun = random.Random(given.seed), time.monotonic()
    least, most = (given.job_s, given.job_s) if given.job_s else JOB_S
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workers-")))
        broker = BROKERS[kind](engine, folder, stack)
        tasks = configured(broker, stage.find_image(engine), way)
        numbers = iter(range(10**6))
        with scheduler_of("DOCKER", folder, tasks) as scheduler, ends(engine) as gone:
            share, done = [4, 4], 0
            while done < given.changes:
                with tasks:
                    for task, count in zip(tasks.tasks, share, strict=True):
                        task.demand = count
                scheduler.stop_start_tasks(tasks)
                for _ in range(new_jobs(rng, given, kind, broker)):
                    broker.push(f"job{next(numbers)}", rng.uniform(least, most))
                pass_time(scheduler, tasks, given.step_s or STEP_S[kind])
                new = [rng.randint(0, CAP), 0]
                new[1] = rng.randint(0, CAP - new[0])
                done += any(after < before for after, before in zip(new, share, strict=True))
                share = new
            ended = len(gone)
        began, finished = broker.books()
    cut, twice = sum((began - finished).values()), sum(n > 1 for n in began.values())
    return Figures(given.changes, ended, len(began), cut, twice, time.monotonic() - begun)


def new_jobs(rng: random.Random, given: argparse.Namespace, kind: str, broker: Broker) -> int:
    """Returns how many jobs come now: with --load at random so many that workers are idle now and then."""
    room = WAITING - broker.waiting()
    if given.load is None:
        return room
    could_do = CAP / 2 * (given.step_s or STEP_S[kind]) / (given.job_s or sum(JOB_S) / 2)
    return min(room, int(rng.uniform(0, 2 * given.load * could_do) + rng.random()))


@contextlib.contextmanager
def ends(engine: APIClient) -> Iterator[list[str]]:
    """The ids of the containers of ours that end in the block; an engine keeps only its last 256 events."""
    found: list[str] = []
    filters = {"event": "die", "label": LABEL}
    with contextlib.closing(engine.events(decode=True, filters=filters)) as events:
        thread = threading.Thread(target=lambda: found.extend(event["id"] for event in events))
        thread.start()
        yield found
    thread.join()


def row_of(kind: str, way: str, given: argparse.Namespace) -> tuple[Figures, str]:
    """Returns what became of the jobs, and their row of the table."""
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(contextlib.closing(engines.connect()))
        if given.beside:
            engine = stack.enter_context(own_engine(engine))
        of = run(engine, kind, way, given)
    return of, f"{kind:5}{WAYS[way]:23}" + "".join(f"{value:12.0f}" for value in astuple(of))


@contextlib.contextmanager
def own_engine(other: APIClient) -> Iterator[APIClient]:
    """An engine in this process's own network, with the images that the other one has."""
    own = engines.OwnEngine()
    own.network = ()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        own.start()
        os.environ["DOCKER_HOST"] = own.host
        with contextlib.closing(engines.connect()) as engine:
            for image in (stage.find_image(other), "microscaling-base/nsq"):
                engine.load_image(b"".join(other.get_image(image)))
            yield engine
    finally:
        own.remove()


def beside(rows: list[tuple[str, str]], arguments: list[str]) -> int:
    """Runs all rows at the same time, each in a network of its own; returns 1 if one fails."""
    words = [*engines.OWN_NETWORK, sys.executable, "-m", "tests.workers.sources", *arguments]
    runs = [subprocess.Popen([*words, "--row", f"{kind},{way}"], cwd=ROOT) for kind, way in rows]
    return max(each.wait() for each in runs)


def kinds_of(text: str) -> Iterator[str]:
    """Yields the kinds in a list."""
    for kind in text.split(","):
        if kind not in BROKERS:
            raise SystemExit(f"--kinds: expected {', '.join(BROKERS)}, got {kind}")
        yield kind


def main() -> int:
    """Prints a table; returns 1 if a job was cut off or repeated although its worker is quieted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--changes", type=int, default=60)
    parser.add_argument("--kinds", default="NSQ,RQ")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--job-s", type=float, help="what each job takes")
    parser.add_argument("--step-s", type=float, help="between two changes")
    parser.add_argument(
        "--load", type=float, help="share of what half of the cap could do; without, all are busy"
    )
    parser.add_argument("--beside", action="store_true", help="all at the same time, on engines of their own")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    given = parser.parse_args()
    rows = [(kind, way) for kind in kinds_of(given.kinds) for way in WAYS]
    if given.row:
        rows = [tuple(given.row.split(","))]
    else:
        words = ("scale-downs", "stopped", "jobs", "cut", "twice", "seconds")
        print(" " * 28 + "".join(f"{word:>12}" for word in words), flush=True)
    if given.beside and not given.row:
        return beside(rows, sys.argv[1:])
    bad = 0
    for kind, way in rows:
        of, row = row_of(kind, way, given)
        # Without a quiet signal a job may begin after the last look, and the grace is shorter than a job.
        bad += (way == "quiet") * (of.cut + of.repeated)
        print(row, flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
