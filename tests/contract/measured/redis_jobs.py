"""Job frameworks in Redis, filled by the framework itself."""

from __future__ import annotations

from microscaling.metric.base import Metric
from microscaling.metric.bullmq import BullMQMetric
from microscaling.metric.celery import CeleryMetric
from microscaling.metric.rq import RQMetric
from microscaling.metric.sidekiq import SidekiqMetric
from tests.contract.measured.redis import RedisList
from tests.frameworks.stage import NodeStage, RubyStage, Stage


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


KINDS = (
    CeleryQueue,
    RQQueue,
    BullMQQueue,
    SidekiqQueue,
)
