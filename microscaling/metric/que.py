"""The metric of a queue of Que."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import ADVISORY_LOCKS, COLUMNS, SCHEMA, URL, TableJobsMetric
from microscaling.plugins import Field
from microscaling.settings import Settings

WAITING = "lock.key IS NULL AND run_at <= now()"
# A worker has an advisory lock for each job that it has taken, which goes with its connection.
STATEMENT = """
SELECT queue, {columns}, false, extract(epoch FROM now() - min(run_at) FILTER (WHERE {waiting}))
FROM {jobs} job LEFT JOIN ({locks}) lock ON lock.key = job.id
WHERE finished_at IS NULL AND expired_at IS NULL AND queue = ANY(%(queues)s) GROUP BY queue"""


class QueMetric(TableJobsMetric):
    """The jobs of a queue of Que (items). The jobs of a worker that is gone wait again at once."""

    type_name, summary = "Que", "the jobs of a queue of Que (Ruby)"
    fields = (URL, Field("queueName", "Queue", default="default"), SCHEMA)
    table, column = "que_jobs", "queue"
    created_by = "Que's migration"
    channel = "que_state"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> QueMetric:
        return cls(values["url"], values["queueName"], values["schema"])

    def __init__(self, url: str, queue: str = "default", schema: str = "") -> None:
        super().__init__(url, queue, schema)

    def statement(self) -> str:
        columns = COLUMNS.format(
            waiting=WAITING,
            running="lock.key IS NOT NULL",
            stuck="false",
            future="lock.key IS NULL AND run_at > now()",
        )
        return STATEMENT.format(
            columns=columns, waiting=WAITING, locks=ADVISORY_LOCKS, jobs=self.named(self.table)
        )


TYPE = QueMetric
