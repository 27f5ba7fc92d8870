"""Something to measure, for each kind of metric: what is there can be set, and how it is measured
can be broken."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import prometheus_client

from microscaling.metric.azure_queue import Account, AzureQueueMetric
from microscaling.metric.base import Metric
from microscaling.metric.bullmq import BullMQMetric
from microscaling.metric.celery import CeleryMetric
from microscaling.metric.exporter import ExporterMetric
from microscaling.metric.http import HTTPMetric
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.null import NullMetric
from microscaling.metric.rabbitmq import RabbitMQMetric
from microscaling.metric.redis import RedisMetric
from microscaling.metric.rq import RQMetric
from microscaling.metric.sidekiq import SidekiqMetric
from microscaling.metric.sql import SQLMetric
from microscaling.metric.sqs import SQSMetric
from microscaling.metric.toy import ToyMetric
from tests.frameworks.stage import NodeStage, RubyStage, Stage
from tests.metric.faulty import Server, response
from tests.metric.nsqd import Nsqd
from tests.metric.proxy import OF_HTTP, OF_REDIS, Fault, Proxy
from tests.services.aws import KEYS, REGION, Moto
from tests.services.azurite import Azurite, connection_string
from tests.services.prometheus import Prometheus
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis import RedisServer
from tests.services.service import wait_for

NO_FILES = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


class Measured:
    """`with` starts what is measured; then `metric` makes one that looks at it."""

    faults: Mapping[str, Any] = {}
    settles = False
    """What is set shows after a while only."""
    type_name = ""
    """Of the metric, in configurations; empty: they cannot name it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()

    def __enter__(self) -> Measured:
        with contextlib.ExitStack() as stack:
            stack.push(lambda *_: self.stack.close())
            self.start()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def start(self) -> None: ...

    def connected(self) -> AbstractContextManager[object]:
        """A way to it, for one test."""
        return nullcontext()

    def environment(self) -> dict[str, str]:
        return {}

    def metric(self) -> Metric:
        raise NotImplementedError

    def set(self, count: int) -> None:
        raise NotImplementedError

    def broken(self, fault: str) -> AbstractContextManager[None]:
        raise NotImplementedError


class Toy(Measured):
    def metric(self) -> Metric:
        self.toy = ToyMetric()
        return self.toy

    def set(self, count: int) -> None:
        self.toy.current = count


class Null(Measured):
    def metric(self) -> Metric:
        return NullMetric()

    def set(self, count: int) -> None: ...


class SQL(Measured):
    """A file: what can happen to it is of another kind."""

    type_name = "SQL"

    faults = dict.fromkeys(["a lock that stays", "garbage", "cut off", "no file", "no table", "a folder"])

    def metric(self) -> Metric:
        return SQLMetric(f"sqlite:///{self.path}", "SELECT count(*) FROM jobs")

    @property
    def path(self) -> Path:
        return self.folder / "queue.db"

    def set(self, count: int) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS jobs (id)")
            db.execute("DELETE FROM jobs")
            db.executemany("INSERT INTO jobs VALUES (?)", [(i,) for i in range(count)])

    @contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        good = self.path.read_bytes()
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            if fault == "a lock that stays":
                db.execute("BEGIN EXCLUSIVE")
            else:
                self._spoil(fault, good)
            yield
        if self.path.is_dir():
            self.path.rmdir()
        self.path.write_bytes(good)

    def _spoil(self, fault: str, good: bytes) -> None:
        if fault in ("no file", "a folder"):
            self.path.unlink()
        if fault == "a folder":
            self.path.mkdir()
        texts = {"garbage": b"\x00\xff" * 4096, "cut off": good[: len(good) // 2], "no table": b""}
        if fault in texts:
            self.path.write_bytes(texts[fault])


class Remote(Measured):
    """A service at `url`, behind a proxy that breaks its answers."""

    faults: Mapping[str, Fault] = OF_HTTP
    url: str

    def connected(self) -> AbstractContextManager[object]:
        self.proxy = Proxy(self.address)
        return self.proxy

    @property
    def address(self) -> str:
        """Where the service is, "host:port"."""
        return self.url.rpartition("/")[2].rpartition("@")[2]

    @property
    def way(self) -> str:
        """The URL of the service by way of the proxy."""
        return self.url.replace(self.address, self.proxy.endpoint)

    def broken(self, fault: str) -> AbstractContextManager[None]:
        return self.proxy.broken(self.faults[fault])


class HTTP(Remote):
    type_name = "HTTP"

    def start(self) -> None:
        self.count = 0
        server = self.stack.enter_context(Server(self._answer))
        self.url = server.url("")

    def _answer(self, server: Server, sock: Any) -> bool:
        sock.sendall(response(json.dumps({"queues": [{"name": "jobs", "length": self.count}]}).encode()))
        return True

    def metric(self) -> Metric:
        return HTTPMetric(f"{self.way}/stats", "queues[0].length")

    def set(self, count: int) -> None:
        self.count = count


class NSQ(Remote):
    type_name = "NSQ"

    def start(self) -> None:
        self.nsqd = self.stack.enter_context(Nsqd(self.folder))
        self.url = self.nsqd.endpoint

    def metric(self) -> Metric:
        return NSQMetric("jobs", "work", self.way)

    def set(self, count: int) -> None:
        self.nsqd.post("/topic/create?topic=jobs")
        self.nsqd.post("/topic/empty?topic=jobs")
        if count:
            self.nsqd.post("/mpub?topic=jobs", b"\n".join([b"job"] * count))


class SQS(Remote):
    type_name = "SQS"

    def start(self) -> None:
        moto = self.stack.enter_context(Moto(self.folder))
        self.url = moto.url
        self.client = moto.client()
        self.queue = self.client.create_queue(QueueName="jobs")["QueueUrl"]
        self.stack.callback(self.client.close)

    def environment(self) -> dict[str, str]:
        return {**KEYS, **NO_FILES, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_SQS": self.way}

    def metric(self) -> Metric:
        return SQSMetric(self.queue)

    def set(self, count: int) -> None:
        while got := self.client.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                self.client.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        for _ in range(count):
            self.client.send_message(QueueUrl=self.queue, MessageBody="job")


class AzureQueue(Remote):
    type_name = "AzureQueue"

    def start(self) -> None:
        from azure.storage.queue import QueueClient

        azurite = self.stack.enter_context(Azurite(self.folder))
        self.client = QueueClient.from_connection_string(connection_string(azurite.url), "jobs")
        self.stack.enter_context(self.client)
        self.client.create_queue()
        self.url = azurite.url

    def metric(self) -> Metric:
        return AzureQueueMetric("jobs", Account(connection_string=connection_string(self.way)))

    def set(self, count: int) -> None:
        self.client.clear_messages()
        for _ in range(count):
            self.client.send_message("job")


class RabbitMQQueue(Remote):
    type_name = "HTTP"

    def start(self) -> None:
        self.rabbit = self.stack.enter_context(RabbitMQ(self.folder))
        self.rabbit.api("PUT", "queues/%2F/jobs", durable=False)
        self.url = self.rabbit.url.replace("//", "//guest:guest@")

    def metric(self) -> Metric:
        # As in docs/sources.md: these two parameters make RabbitMQ count now, and not every 5 s.
        fresh = "disable_stats=true&enable_queue_totals=true"
        one = "name=%5Ejobs%24&use_regex=true&page=1&page_size=1"
        return HTTPMetric(f"{self.way}/api/queues/%2F?{one}&{fresh}", "items[0].messages_ready")

    def set(self, count: int) -> None:
        self.rabbit.api("DELETE", "queues/%2F/jobs/contents")
        self.rabbit.publish("jobs", count)


class RabbitMQOwn(RabbitMQQueue):
    type_name = "RabbitMQ"

    def metric(self) -> Metric:
        return RabbitMQMetric(self.way, "jobs")


class PrometheusQuery(Remote):
    type_name = "HTTP"
    settles = True

    def start(self) -> None:
        self.count = 0
        target = self.stack.enter_context(Server(self._scraped))
        self.prometheus = self.stack.enter_context(Prometheus(self.folder, target.endpoint))
        self.url = self.prometheus.url
        wait_for(lambda: self.prometheus.result("jobs_waiting"))

    def _scraped(self, server: Server, sock: Any) -> bool:
        # One connection a scrape: one that is opened anew during a test would pass for left behind.
        headers = ("Content-Type: text/plain", "Connection: close")
        sock.sendall(response(f"jobs_waiting {self.count}\n".encode(), "200 OK", *headers))
        return False

    def metric(self) -> Metric:
        query = self.prometheus.query_url("sum(jobs_waiting)")
        return HTTPMetric(query.replace(self.url, self.way), "data.result[0].value[1]")

    def set(self, count: int) -> None:
        self.count = count


class ExporterSeries(Remote):
    """The exporter of the library with which most exporters in Python are written."""

    type_name = "Exporter"

    def start(self) -> None:
        registry = prometheus_client.CollectorRegistry()
        self.gauge = prometheus_client.Gauge("jobs_waiting", "Jobs", ["queue"], registry=registry)
        server, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
        self.stack.callback(thread.join)
        self.stack.callback(server.server_close)
        self.stack.callback(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def metric(self) -> Metric:
        return ExporterMetric(f"{self.way}/metrics", 'jobs_waiting{queue="mail"}')

    def set(self, count: int) -> None:
        self.gauge.labels("mail").set(count)
        self.gauge.labels("other").set(77)


class RedisList(Remote):
    type_name = "Redis"
    faults = OF_REDIS

    def start(self) -> None:
        server = self.stack.enter_context(RedisServer(self.folder))
        self.client = self.stack.enter_context(server.client())
        self.url = server.url
        self.client.ping()  # from here on it has its connection

    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs")

    def set(self, count: int) -> None:
        self.client.delete("jobs")
        if count:
            self.client.rpush("jobs", *range(count))


class RedisStream(RedisList):
    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs", "stream")

    def set(self, count: int) -> None:
        self.client.delete("jobs")
        for i in range(count):
            self.client.xadd("jobs", {"job": i})


class RedisSortedSet(RedisList):
    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs", "zset")

    def set(self, count: int) -> None:
        self.client.delete("jobs")
        if count:
            self.client.zadd("jobs", {f"job {i}": i for i in range(count)})


class RedisDue(RedisSortedSet):
    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs", "due")

    def set(self, count: int) -> None:
        super().set(count)
        self.client.zadd("jobs", {"a job of tomorrow": time.time() + 86_400})


class OfFramework(RedisList):
    """A queue of a job framework in Redis, filled by the framework itself."""

    module = ""
    stage_of: type[Stage] = Stage

    def start(self) -> None:
        super().start()
        self.stage = self.stack.enter_context(self.stage_of(self.url, self.folder, self.module))
        self.stage.ask("enqueue", 1)  # the first takes the time of an import

    def set(self, count: int) -> None:
        self.stage.ask("purge")
        self.stage.ask("enqueue", count)


class CeleryQueue(OfFramework):
    type_name = "Celery"
    module = "celery_jobs"

    def metric(self) -> Metric:
        return CeleryMetric(self.way, "jobs")


class RQQueue(OfFramework):
    type_name = "RQ"
    module = "rq_jobs"

    def metric(self) -> Metric:
        return RQMetric(self.way, "jobs")


class BullMQQueue(OfFramework):
    type_name = "BullMQ"
    module = "bullmq6"
    stage_of = NodeStage

    def metric(self) -> Metric:
        return BullMQMetric(self.way, "jobs")


class SidekiqQueue(OfFramework):
    type_name = "Sidekiq"
    module = "sidekiq_jobs"
    stage_of = RubyStage

    def metric(self) -> Metric:
        return SidekiqMetric(self.way, "jobs")


class RedisGroup(RedisStream):
    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs", "group", "workers")

    def set(self, count: int) -> None:
        super().set(count)
        self.client.xgroup_create("jobs", "workers", "0", mkstream=True)
        self.client.xadd("jobs", {"job": "that nobody has taken"})
        if count:
            self.client.xreadgroup("workers", "worker", {"jobs": ">"}, count=count)


KINDS: tuple[type[Measured], ...] = (
    *(Toy, Null, SQL, HTTP, NSQ, SQS, AzureQueue),
    *(RabbitMQQueue, PrometheusQuery, RedisList, RedisStream, RedisGroup),
    *(RedisSortedSet, RedisDue, ExporterSeries),
    *(CeleryQueue, RQQueue, BullMQQueue, SidekiqQueue, RabbitMQOwn),
)
