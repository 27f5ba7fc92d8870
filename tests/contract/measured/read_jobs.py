"""Job frameworks that could not be run: their tables, filled by hand."""

from __future__ import annotations

from typing import ClassVar

from microscaling.metric.base import Metric
from microscaling.metric.good_job import GoodJobMetric
from microscaling.metric.oban import ObanMetric
from microscaling.metric.que import QueMetric
from microscaling.metric.solid_queue import SolidQueueMetric
from tests.contract.measured.base import Remote
from tests.metric.proxy import OF_ANY
from tests.metric.read_jobs import GOOD_JOB, OBAN, QUE, SOLID_QUEUE
from tests.services.postgresql import PostgreSQL


class OfTables(Remote):
    # Those of the frameworks that could be run have the rest: their way to the server is the same.
    faults: ClassVar = {name: OF_ANY[name] for name in ("connection closed half way", "garbage")}
    tables = ""
    table = ""
    columns: ClassVar[dict[str, str]]
    """Those of a waiting job, with their values."""

    def start(self) -> None:
        self.server = self.stack.enter_context(PostgreSQL(self.folder))
        self.url = self.server.url
        with self.server.client() as client:
            client.execute(self.tables)

    @property
    def address(self) -> str:
        return self.server.address

    def set(self, count: int) -> None:
        names, values = ", ".join(self.columns), ", ".join(self.columns.values())
        with self.server.client() as client:
            client.execute("SET timezone = 'UTC'")
            client.execute(f"TRUNCATE {self.table}")
            client.execute(
                f"INSERT INTO {self.table} ({names}) SELECT {values} FROM generate_series(1, {count})"
            )


class ObanQueue(OfTables):
    type_name = "Oban"
    tables, table = OBAN, "oban_jobs"
    columns: ClassVar = {"queue": "'jobs'", "worker": "'W'", "args": "'{}'"}

    def metric(self) -> Metric:
        return ObanMetric(self.way, "jobs")


class QueQueue(OfTables):
    type_name = "Que"
    tables, table = QUE, "que_jobs"
    columns: ClassVar = {"queue": "'jobs'", "job_class": "'J'"}

    def metric(self) -> Metric:
        return QueMetric(self.way, "jobs")


class GoodJobQueue(OfTables):
    type_name = "GoodJob"
    tables, table = GOOD_JOB, "good_jobs"
    columns: ClassVar = {"queue_name": "'jobs'", "created_at": "now()", "updated_at": "now()"}

    def metric(self) -> Metric:
        return GoodJobMetric(self.way, "jobs")


class SolidQueueQueue(OfTables):
    type_name = "SolidQueue"
    tables, table = SOLID_QUEUE, "solid_queue_ready_executions"
    columns: ClassVar = {"job_id": "1", "queue_name": "'jobs'", "created_at": "now()"}

    def metric(self) -> Metric:
        return SolidQueueMetric(self.way, "jobs")


KINDS = (
    ObanQueue,
    QueQueue,
    GoodJobQueue,
    SolidQueueQueue,
)
