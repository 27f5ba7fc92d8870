"""Job frameworks in Redis, filled by the framework itself."""

from __future__ import annotations

from microscaling.metric.arq import ARQMetric
from microscaling.metric.asynq import AsynqMetric
from microscaling.metric.base import Metric
from microscaling.metric.bee_queue import BeeQueueMetric
from microscaling.metric.bull import BullMetric
from microscaling.metric.bullmq import BullMQMetric
from microscaling.metric.celery import CeleryMetric
from microscaling.metric.dramatiq import DramatiqMetric
from microscaling.metric.huey import HueyMetric
from microscaling.metric.laravel import LaravelMetric
from microscaling.metric.n8n import N8NMetric
from microscaling.metric.rq import RQMetric
from microscaling.metric.saq import SAQMetric
from microscaling.metric.sidekiq import SidekiqMetric
from microscaling.metric.streaq import StreaqMetric
from microscaling.metric.taskiq import TaskiqMetric
from tests.contract.measured.redis import RedisList
from tests.frameworks.stage import GoStage, NodeStage, PhpStage, RubyStage, Stage

QUEUE_OF = {"list": "jobs", "stream": "jobs-stream"}


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


class BullQueue(OfFramework):
    type_name = "Bull"
    module = "bull"
    stage_of = NodeStage

    def metric(self) -> Metric:
        return BullMetric(self.way, "jobs")


class N8NQueue(BullQueue):
    """n8n itself takes minutes to install; its queue is one of Bull."""

    type_name = "N8N"

    def metric(self) -> Metric:
        return N8NMetric(self.way)


class BeeQueueQueue(OfFramework):
    type_name = "BeeQueue"
    module = "beequeue"
    stage_of = NodeStage

    def metric(self) -> Metric:
        return BeeQueueMetric(self.way, "jobs")


class AsynqQueue(OfFramework):
    type_name = "Asynq"
    module = "asynq"
    stage_of = GoStage

    def metric(self) -> Metric:
        return AsynqMetric(self.way, "jobs")


class LaravelQueue(OfFramework):
    type_name = "Laravel"
    module = "laravel"
    stage_of = PhpStage

    def metric(self) -> Metric:
        return LaravelMetric(self.way, "jobs")


class SidekiqQueue(OfFramework):
    type_name = "Sidekiq"
    module = "sidekiq_jobs"
    stage_of = RubyStage

    def metric(self) -> Metric:
        return SidekiqMetric(self.way, "jobs")


class DramatiqQueue(OfFramework):
    type_name = "Dramatiq"
    module = "dramatiq_jobs"

    def metric(self) -> Metric:
        return DramatiqMetric(self.way, "jobs")


class HueyQueue(OfFramework):
    type_name = "Huey"
    module = "huey_jobs"

    def metric(self) -> Metric:
        return HueyMetric(self.way, "jobs")


class ARQQueue(OfFramework):
    type_name = "ARQ"
    module = "arq_jobs"

    def metric(self) -> Metric:
        return ARQMetric(self.way, "jobs")


class SAQQueue(OfFramework):
    type_name = "SAQ"
    module = "saq_jobs"

    def metric(self) -> Metric:
        return SAQMetric(self.way, "jobs")


class TaskiqList(OfFramework):
    type_name = "Taskiq"
    module = "taskiq_jobs"
    kind = "list"

    def metric(self) -> Metric:
        return TaskiqMetric(self.way, QUEUE_OF[self.kind], self.kind)

    def set(self, count: int) -> None:
        self.stage.ask("purge")
        self.stage.ask("enqueue", count, self.kind)


class TaskiqStream(TaskiqList):
    kind = "stream"


class StreaqQueue(OfFramework):
    type_name = "Streaq"
    module = "streaq_jobs"

    def metric(self) -> Metric:
        return StreaqMetric(self.way, "jobs", "low,high")


KINDS = (
    CeleryQueue,
    RQQueue,
    BullMQQueue,
    BullQueue,
    N8NQueue,
    BeeQueueQueue,
    AsynqQueue,
    LaravelQueue,
    SidekiqQueue,
    DramatiqQueue,
    HueyQueue,
    ARQQueue,
    SAQQueue,
    TaskiqList,
    TaskiqStream,
    StreaqQueue,
)
