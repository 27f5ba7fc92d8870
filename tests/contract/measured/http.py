"""Metrics of services with an API of HTTP."""

from __future__ import annotations

import json
from typing import Any

import prometheus_client

from microscaling.clients.server_address import ServerAddress
from microscaling.metric.azure_queue import Account, AzureQueueMetric
from microscaling.metric.base import Metric
from microscaling.metric.exporter import ExporterMetric
from microscaling.metric.http import HTTPMetric
from microscaling.metric.jet_stream import JetStreamMetric
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.prometheus import PrometheusMetric
from microscaling.metric.push import PushMetric
from microscaling.metric.sqs import SQSMetric
from tests.contract.measured.base import Remote
from tests.metric.faulty import Server, response
from tests.metric.nsqd import Nsqd
from tests.server.running import Running
from tests.services.aws import KEYS, REGION, Moto
from tests.services.azurite import Azurite, connection_string
from tests.services.nats import NATS
from tests.services.prometheus import Prometheus
from tests.services.service import wait_for

NO_FILES = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


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


class NSQList(NSQ):
    """Two nsqd, of which one breaks."""

    def start(self) -> None:
        super().start()
        (other := self.folder / "other").mkdir()
        self.other = self.stack.enter_context(Nsqd(other))
        self.other.post("/topic/create?topic=jobs")

    def metric(self) -> Metric:
        return NSQMetric("jobs", "work", f"{self.other.endpoint},{self.way}")


class JetStream(Remote):
    type_name = "JetStream"

    def start(self) -> None:
        self.nats = self.stack.enter_context(NATS(self.folder))
        self.nats.queue("JOBS", "workers", 0)
        self.url = self.nats.url

    def metric(self) -> Metric:
        return JetStreamMetric(self.way, "JOBS", "workers")

    def set(self, count: int) -> None:
        self.nats.request("$JS.API.STREAM.PURGE.JOBS")
        self.nats.put("JOBS", count)


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


class AzureVisible(AzureQueue):
    def metric(self) -> Metric:
        return AzureQueueMetric("jobs", Account(connection_string=connection_string(self.way)), visible=True)


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


class PrometheusNative(PrometheusQuery):
    type_name = "Prometheus"

    def metric(self) -> Metric:
        return PrometheusMetric(self.way, "sum(jobs_waiting)", "queue")


class Push(Remote):
    """A real server of ours, to which an application pushes."""

    type_name = "Push"

    def start(self) -> None:
        self.server = Running(self.folder)
        self.stack.callback(self.server.stop)
        self.url = self.server.url

    def metric(self) -> Metric:
        metric = PushMetric(ServerAddress(self.way), "site", 3600)
        metric.task = "mailer"
        return metric

    def set(self, count: int) -> None:
        self.server.put("/api/users/site/tasks/mailer/measurement", {"waiting": count})


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


KINDS = (
    HTTP,
    NSQ,
    NSQList,
    JetStream,
    SQS,
    AzureQueue,
    AzureVisible,
    PrometheusQuery,
    PrometheusNative,
    Push,
    ExporterSeries,
)
