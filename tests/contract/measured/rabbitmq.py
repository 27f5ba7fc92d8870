"""RabbitMQ, by the recipe and by its own metric."""

from __future__ import annotations

from microscaling.metric.base import Metric
from microscaling.metric.celery import CeleryOnRabbitMQ
from microscaling.metric.http import HTTPMetric
from microscaling.metric.rabbitmq import RabbitMQMetric
from tests.contract.measured.base import Remote
from tests.frameworks.stage import Stage
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis import RedisServer


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


class CeleryInRabbitMQ(Remote):
    """A queue of Celery, with RabbitMQ as its broker, filled by Celery itself."""

    type_name = "Celery"
    settles = True

    def start(self) -> None:
        redis = self.stack.enter_context(RedisServer(self.folder))  # for the books of the stage
        (home := self.folder / "rabbitmq").mkdir()
        rabbit = self.stack.enter_context(RabbitMQ(home))
        self.url = rabbit.url.replace("//", "//guest:guest@")
        stage = Stage(redis.url, self.folder, "celery_jobs")
        stage.environ["JOBS_AMQP"] = rabbit.amqp
        self.stage = self.stack.enter_context(stage)
        self.stage.ask("enqueue", 1)

    def metric(self) -> Metric:
        return CeleryOnRabbitMQ(self.way, "jobs")

    def set(self, count: int) -> None:
        self.stage.ask("purge")
        self.stage.ask("enqueue", count)


KINDS = (
    CeleryInRabbitMQ,
    RabbitMQQueue,
    RabbitMQOwn,
)
