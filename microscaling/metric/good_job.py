"""The metric of a queue of GoodJob."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import ADVISORY_LOCKS, COLUMNS, SCHEMA, URL, UTC, TableJobsMetric
from microscaling.plugins import Field
from microscaling.settings import Settings

# GoodJob's advisory_lock_bigint_sql: the key of the lock that a worker has for its job, and that goes with
# its connection.
KEY = "('x' || substr(md5('good_jobs-' || job.id::text), 1, 16))::bit(64)::bigint"
WAITING = f"lock.key IS NULL AND coalesce(scheduled_at <= {UTC}, true)"
STATEMENT = """
SELECT queue_name, {columns}, false,
    extract(epoch FROM {utc} - min(greatest(created_at, scheduled_at)) FILTER (WHERE {waiting}))
FROM {jobs} job LEFT JOIN ({locks}) lock ON lock.key = {key}
WHERE finished_at IS NULL AND queue_name = ANY(%(queues)s) GROUP BY queue_name"""


class GoodJobMetric(TableJobsMetric):
    """The jobs of a queue of GoodJob (items). The jobs of a worker that is gone wait again at once."""

    type_name, summary = "GoodJob", "the jobs of a queue of GoodJob (Ruby on Rails)"
    fields = (URL, Field("queueName", "Queue", default="default"), SCHEMA)
    table, column = "good_jobs", "queue_name"
    created_by = "GoodJob's migration"
    channel = "good_job"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> GoodJobMetric:
        return cls(values["url"], values["queueName"], values["schema"])

    def __init__(self, url: str, queue: str = "default", schema: str = "") -> None:
        super().__init__(url, queue, schema)

    def statement(self) -> str:
        columns = COLUMNS.format(
            waiting=WAITING,
            running="lock.key IS NOT NULL",
            stuck="false",
            future=f"lock.key IS NULL AND scheduled_at > {UTC}",
        )
        return STATEMENT.format(
            columns=columns,
            waiting=WAITING,
            utc=UTC,
            key=KEY,
            locks=ADVISORY_LOCKS,
            jobs=self.named(self.table),
        )


TYPE = GoodJobMetric
