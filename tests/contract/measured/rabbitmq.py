"""RabbitMQ, by the recipe and by its own metric."""

from __future__ import annotations

from microscaling.metric.base import Metric
from microscaling.metric.http import HTTPMetric
from microscaling.metric.rabbitmq import RabbitMQMetric
from tests.contract.measured.base import Remote
from tests.services.rabbitmq import RabbitMQ


class RabbitMQQueue(Remote):
    type_name = "HTTP"

    def start(self) -> None:
        self.rabbit = self.stack.enter_context(RabbitMQ(self.folder))
        self.rabbit.api("PUT", "queues/%2F/jobs", durable=False)
        self.url = self.rabbit.url.replace("//", "//guest:guest@")

    def metric(self) -> Metric:
        # As in docs/sources/http.md: these two parameters make RabbitMQ count now, and not every 5 s.
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


KINDS = (
    RabbitMQQueue,
    RabbitMQOwn,
)
