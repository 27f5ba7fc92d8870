"""Job frameworks in PostgreSQL, filled by the framework itself."""

from __future__ import annotations

from microscaling.metric.base import Metric
from microscaling.metric.graphile_worker import GraphileWorkerMetric
from microscaling.metric.pg_boss import PgBossMetric
from microscaling.metric.pg_queuer import PgQueuerMetric
from microscaling.metric.procrastinate import ProcrastinateMetric
from microscaling.metric.river import RiverMetric
from tests.contract.measured.base import Remote
from tests.frameworks.database_stage import DatabaseStage, NodeDatabaseStage, RiverStage
from tests.metric.proxy import OF_ANY
from tests.services.postgresql import PostgreSQL
from tests.services.redis import RedisServer


class OfFramework(Remote):
    """A queue of a job framework in PostgreSQL."""

    faults = OF_ANY
    module = ""
    stage_of: type[DatabaseStage] = DatabaseStage

    def start(self) -> None:
        self.server = self.stack.enter_context(PostgreSQL(self.folder))
        redis = self.stack.enter_context(RedisServer(self.folder))
        self.stage = self.stack.enter_context(self.stage_of(self.server, redis.url, self.folder, self.module))
        self.url = self.stage.url
        self.stage.ask("create")

    @property
    def address(self) -> str:
        return self.server.address

    def set(self, count: int) -> None:
        self.stage.ask("purge")
        self.stage.ask("enqueue", count)


class ProcrastinateQueue(OfFramework):
    type_name = "Procrastinate"
    module = "procrastinate_jobs"

    def metric(self) -> Metric:
        return ProcrastinateMetric(self.way, "jobs")


class PgQueuerEntrypoint(OfFramework):
    type_name = "PgQueuer"
    module = "pgqueuer_jobs"

    def metric(self) -> Metric:
        return PgQueuerMetric(self.way, "jobs")


class GraphileWorkerTask(OfFramework):
    type_name = "GraphileWorker"
    module = "graphile-worker"
    stage_of = NodeDatabaseStage

    def metric(self) -> Metric:
        return GraphileWorkerMetric(self.way, "jobs")


class PgBossQueue(OfFramework):
    type_name = "PgBoss"
    module = "pg-boss"
    stage_of = NodeDatabaseStage

    def metric(self) -> Metric:
        return PgBossMetric(self.way, "jobs")


class RiverQueue(OfFramework):
    type_name = "River"
    module = "river"
    stage_of = RiverStage

    def metric(self) -> Metric:
        return RiverMetric(self.way, "jobs")


KINDS = (
    ProcrastinateQueue,
    PgQueuerEntrypoint,
    GraphileWorkerTask,
    PgBossQueue,
    RiverQueue,
)
