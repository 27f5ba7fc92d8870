"""`busy: source` with real workers on a real engine: the source shows which container has a job."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from microscaling.api.apps import apps_from_parsed
from microscaling.demand.tasks import Tasks
from microscaling.scheduler.containers.driver import ContainerScheduler
from microscaling.scheduler.docker.backend import DockerBackend
from scripts.bench_drain import pass_time
from tests.integration import engines
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis import RedisServer
from tests.services.service import free_port, give_up, wait_for
from tests.workers import stage

WORKERS = 4
PATIENCE_S = 90.0
LONGER_THAN_A_JOB_S = 10
"""A job may begin between the last look and SIGTERM, and has to end by itself."""


class Scene:
    """A task on the engine, and the scheduler that runs it."""

    def __init__(self, prefix: str, app: dict[str, Any]) -> None:
        app = {"name": f"{prefix}worker", "maxContainers": WORKERS, "ruleType": "Queue", **app}
        # PID 1 would not hear a SIGTERM that comes before its program is ready for it, and take jobs then.
        own = {"targetQueueLength": 1, "busy": "source", "stopGraceSeconds": 1, "init": True}
        app["config"] = own | app["config"]
        tasks, cap = apps_from_parsed({"maxContainers": WORKERS, "apps": [app]})
        self.tasks = Tasks(tasks, cap)
        self.task = self.tasks.tasks[0]
        backend = DockerBackend(engines.host_of_the_machine(), pull_images=False)
        self.scheduler = ContainerScheduler(backend, exit_timeout_s=PATIENCE_S)
        self.scheduler.count_all_tasks(self.tasks)

    def decide(self, count: int) -> None:
        with self.tasks:
            self.task.demand = count
        self.scheduler.stop_start_tasks(self.tasks)

    def until(self, what: Callable[[], bool], why: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < deadline, f"{why}: {self.states()}"
            pass_time(self.scheduler, self.tasks, 0.1)

    def states(self) -> list[str]:
        assert self.tasks.containers is not None
        with self.tasks:
            return [view.state for view in self.tasks.containers(self.task.name)]

    def close(self) -> None:
        self.scheduler.drain(self.tasks)
        pass_time(self.scheduler, self.tasks, PATIENCE_S, until_idle=True)
        self.scheduler.cleanup()


@pytest.fixture
def scene(engine: APIClient, prefix: str) -> Iterator[Callable[[dict[str, Any]], Scene]]:
    with contextlib.ExitStack() as stack:

        def make(app: dict[str, Any]) -> Scene:
            made = Scene(prefix, app)
            stack.callback(made.close)
            return made

        yield make


def no_job_is_lost(scene: Scene, push: Callable[[float], None], waiting: Callable[[], int]) -> None:
    """The idle ones go first and at once, the others after their jobs, and at random none is lost."""
    rng = random.Random(4)
    scene.decide(WORKERS)
    scene.until(lambda: scene.task.running == WORKERS, "they start")
    for _ in range(5):
        for _ in range(rng.randint(2, 6)):
            push(rng.uniform(0.5, 3.0))
        pass_time(scene.scheduler, scene.tasks, rng.uniform(0.2, 1.5))
        scene.decide(rng.randint(0, WORKERS - 1))
        pass_time(scene.scheduler, scene.tasks, rng.uniform(0.5, 2.0))
        scene.decide(WORKERS)
        pass_time(scene.scheduler, scene.tasks, 0.5)
    scene.until(lambda: waiting() == 0, "all jobs are taken")
    scene.decide(0)
    scene.until(lambda: scene.task.running == 0, "all are stopped once they are idle")


@pytest.fixture
def nsqd(engine: APIClient) -> Iterator[tuple[str, str]]:
    """The addresses of an nsqd in a container on the host's network: for clients, and its HTTP interface."""
    if not engine.images("microscaling-base/nsq"):
        give_up("there is no image of nsqd here: scripts/base-images makes one")
    tcp, http = (f"127.0.0.1:{free_port()}" for _ in range(2))
    host = engine.create_host_config(network_mode="host")
    words = ["/nsqd", f"-tcp-address={tcp}", f"-http-address={http}", "-data-path=/data"]
    id = engine.create_container("microscaling-base/nsq", words, host_config=host)["Id"]
    engine.start(id)
    try:
        wait_for(lambda: answers(http), "nsqd does not answer", 30)
        yield tcp, http
    finally:
        engine.remove_container(id, force=True, v=True)


def ask(url: str, data: bytes | None = None) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, data, timeout=5) as answer:
        found: bytes = answer.read()
        return found


def answers(http: str) -> bool:
    with contextlib.suppress(OSError):
        return ask(f"http://{http}/ping") == b"OK"
    return False


def test_nsq(
    engine: APIClient,
    scene: Callable[[dict[str, Any]], Scene],
    nsqd: tuple[str, str],
    tmp_path: Path,
) -> None:
    tcp, http = nsqd
    log = tmp_path / "log"
    log.touch()
    of = scene({"metricType": "NSQ", "config": {
        "nsqd": http, "topicName": "jobs", "channelName": "work", "image": stage.find_image(engine),
        "command": ["python3", "/workers/nsq_worker.py", tcp, "jobs", "work", "/log/log"],
        "volumes": [f"{Path(stage.__file__).parent}:/workers:ro", f"{tmp_path}:/log"],
        "stopGraceSeconds": LONGER_THAN_A_JOB_S,
    }})  # fmt: skip
    pushed: list[str] = []

    def push(seconds: float) -> None:
        pushed.append(f"{len(pushed)}-{seconds:.2f}")
        ask(f"http://{http}/pub?topic=jobs", pushed[-1].encode())

    def waiting() -> int:
        [topic] = json.loads(ask(f"http://{http}/stats?format=json&topic=jobs"))["topics"]
        return int(topic["depth"] + sum(channel["depth"] for channel in topic["channels"]))

    no_job_is_lost(of, push, waiting)
    lines = Counter(log.read_text().split("\n"))
    assert {lines[f"{word} {job}"] for word in ("start", "end") for job in pushed} == {1}


def of_workers(scene: Callable[[dict[str, Any]], Scene], broker: RedisServer, image: str, kind: str) -> None:
    """Runs jobs of Celery or RQ with `busy: source`; none is lost."""
    here, url = Path(stage.__file__).parent, broker.url
    env = {"PYTHONPATH": "/packages:/workers", "JOBS_REDIS": url, "PYTHONDONTWRITEBYTECODE": "1"}
    of = scene({"metricType": "RQ" if kind == "rq" else "Celery", "config": {
        "url": url, "queueName": f"jobs-of-{kind}", "image": image, "env": env,
        "command": "python3 " + stage.FRAMEWORKS[kind].format(url=url).replace("-c 2", "-c 1"),
        "volumes": [f"{stage.PACKAGES}:/packages:ro", f"{here}:/workers:ro"],
        "stopGraceSeconds": LONGER_THAN_A_JOB_S,
    }})  # fmt: skip
    code = (
        "import sys, jobs, redis, rq\n"
        "queue = rq.Queue('jobs-of-rq', connection=redis.Redis.from_url(sys.argv[1]))\n"
        "for line in sys.stdin:\n"
        "    id, seconds = line.split()\n"
        "    if sys.argv[2] == 'rq': queue.enqueue('jobs.rq_job', id, float(seconds))\n"
        "    else: jobs.celery_job.delay(id, float(seconds))\n"
        "    print(flush=True)"
    )
    path = {"PYTHONPATH": f"{stage.PACKAGES}:{here}", "JOBS_REDIS": url, "PATH": "/usr/bin:/bin"}
    feeder = subprocess.Popen(
        [sys.executable, "-c", code, url, kind],
        env=path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    pushed: list[str] = []

    def push(seconds: float) -> None:
        pushed.append(f"job{len(pushed)}")
        assert feeder.stdin is not None
        assert feeder.stdout is not None
        feeder.stdin.write(f"{pushed[-1]} {seconds}\n")
        feeder.stdin.flush()
        feeder.stdout.readline()

    with contextlib.closing(broker.client()) as redis:
        queue = "rq:queue:jobs-of-rq" if kind == "rq" else "jobs-of-celery"
        try:
            no_job_is_lost(of, push, lambda: int(redis.llen(queue)))
        finally:
            feeder.communicate()
        began = Counter(line.decode().split()[0] for line in redis.lrange(f"{kind}:started", 0, -1))
        ended = Counter(line.decode() for line in redis.lrange(f"{kind}:done", 0, -1))
        assert began == ended == Counter(pushed)


@pytest.mark.parametrize("kind", ["rq", "celery"])
def test_workers_of_a_framework(
    engine: APIClient,
    scene: Callable[[dict[str, Any]], Scene],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    if not (stage.PACKAGES / "made-of").exists():
        give_up("there are no Celery and RQ here")
    if kind == "celery":
        monkeypatch.syspath_prepend(str(stage.PACKAGES))
    with RedisServer(tmp_path) as broker:
        of_workers(scene, broker, stage.find_image(engine), kind)


RABBIT_WORKER = """\
import os, socket, sys, time, amqp
host, log = sys.argv[1:]

def take(message):
    print("start", message.body, file=open(log, "a"), flush=True)
    while not os.path.exists(log + ".done"):
        time.sleep(0.1)
    print("end", message.body, file=open(log, "a"), flush=True)
    message.channel.basic_ack(message.delivery_tag)

connection = amqp.Connection(host=host, userid="guest", password="guest")
connection.connect()
channel = connection.channel()
channel.basic_qos(0, 1, False)
channel.queue_declare("jobs", durable=True, auto_delete=False)
channel.basic_consume("jobs", callback=take)
while True:
    try:
        connection.drain_events(timeout=1)
    except socket.timeout:
        pass
"""
RABBIT_FEEDER = """\
import sys, amqp
with amqp.Connection(host=sys.argv[1], userid="guest", password="guest") as connection:
    channel = connection.channel()
    channel.queue_declare("jobs", durable=True, auto_delete=False)
    channel.basic_publish(amqp.Message(sys.argv[2]), routing_key="jobs")
"""


class OnABridge(RabbitMQ):
    """One that containers of a network reach by its gateway."""

    gateway = ""

    def command(self) -> list[str]:
        words = super().command()
        path = self.folder / "rabbitmq.conf"
        address = self.amqp.rpartition("@")[2].strip("/")
        self.address = f"{self.gateway}:{address.partition(':')[2]}"
        path.write_text(path.read_text().replace(address, self.address) + "loopback_users = none\n")
        return words


def test_rabbitmq_by_the_addresses_of_its_consumers(engine: APIClient, prefix: str, tmp_path: Path) -> None:
    """A worker that ends at once with SIGTERM: the idle one goes, and the other after its job."""
    if not (stage.PACKAGES / "made-of").exists():
        give_up("there are no packages of Celery here")
    with contextlib.ExitStack() as stack:
        network = engine.create_network(f"{prefix}rabbit")["Id"]
        stack.callback(engine.remove_network, network)
        OnABridge.gateway = engine.inspect_network(network)["IPAM"]["Config"][0]["Gateway"]
        (tmp_path / "broker").mkdir()
        broker = stack.enter_context(OnABridge(tmp_path / "broker"))
        (tmp_path / "worker.py").write_text(RABBIT_WORKER)
        log = tmp_path / "log"
        log.touch()
        of = Scene(prefix, {"metricType": "RabbitMQ", "config": {
            "url": broker.url.replace("://", "://guest:guest@"), "queueName": "jobs",
            "image": stage.find_image(engine), "networks": [f"{prefix}rabbit"],
            "command": ["python3", "/log/worker.py", broker.address, "/log/log"],
            "env": {"PYTHONPATH": "/packages"},
            "volumes": [f"{stage.PACKAGES}:/packages:ro", f"{tmp_path}:/log"],
        }})  # fmt: skip
        stack.callback(of.close)
        of.decide(2)
        of.until(lambda: of.task.running == 2, "they start")
        words = [sys.executable, "-c", RABBIT_FEEDER, broker.address, "a"]
        subprocess.run(words, env={"PYTHONPATH": str(stage.PACKAGES)}, check=True)
        of.until(lambda: "start" in log.read_text(), "one has a job")
        of.decide(1)
        of.until(lambda: of.task.running == 1, "the idle one goes")
        assert "end" not in log.read_text()
        of.decide(0)
        pass_time(of.scheduler, of.tasks, 8.0)  # longer than two looks are apart
        assert (of.task.draining, of.task.running) == (1, 1), "the other one has its job"
        (tmp_path / "log.done").touch()
        of.until(lambda: of.task.running == 0, "the other one after its job")
        assert log.read_text().split() == ["start", "a", "end", "a"]
