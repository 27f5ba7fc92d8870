"""Job frameworks in PostgreSQL, filled by the framework itself."""

from __future__ import annotations

from microscaling.metric.base import Metric
from microscaling.metric.procrastinate import ProcrastinateMetric
from tests.contract.measured.base import Remote
from tests.frameworks.database_stage import DatabaseStage
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


KINDS = (ProcrastinateQueue,)
