"""The metric of a task of Graphile Worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import COLUMNS, SCHEMA, URL, TableJobsMetric
from microscaling.plugins import Field
from microscaling.settings import Settings

# Of the jobs with one queue_name only one runs at a time, of whichever task, so all tasks are looked at. On
# its last attempt a job has as many attempts as it may have; one that is not locked then has failed for good.
JOBS = """
SELECT *, run_at <= now() AS due, row_number() OVER (
    PARTITION BY queue_name ORDER BY locked_at IS NOT NULL DESC, run_at <= now() DESC, priority, run_at, id
) AS place
FROM {jobs} WHERE locked_at IS NOT NULL OR attempts < max_attempts"""
WAITING = "locked_at IS NULL AND due AND (queue_name IS NULL OR place = 1)"
# There is no heartbeat, and the time is not a setting: a live worker takes such jobs back.
LOST = "locked_at <= now() - interval '4 hours'"
"""As in Graphile Worker's resetLockedAt."""
STATEMENT = """
SELECT task_identifier, {columns}, false,
    extract(epoch FROM now() - min(greatest(created_at, run_at)) FILTER (WHERE {waiting}))
FROM ({jobs}) job WHERE task_identifier = ANY(%(queues)s) GROUP BY task_identifier"""


class GraphileWorkerMetric(TableJobsMetric):
    """The jobs of a task of Graphile Worker (items).

    Of the jobs with one queue_name only the one that may run counts. There is no heartbeat: a job of a worker
    that is gone counts as running, and after four hours as stuck, when a live worker takes it.
    """

    type_name, summary = "GraphileWorker", "the jobs of a task of Graphile Worker (Node.js)"
    fields = (
        URL,
        Field("taskIdentifier", "Task", required=True, hint="its identifier; several are `sources`"),
        Field(SCHEMA.key, SCHEMA.label, default="graphile_worker", hint="of its tables"),
    )
    table = "jobs"
    column = "task_identifier"
    channel = "jobs:insert"
    created_by = "a worker's start, or `graphile-worker --schema-only`,"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> GraphileWorkerMetric:
        return cls(values["url"], values["taskIdentifier"], values["schema"])

    def __init__(self, url: str, task: str, schema: str = "graphile_worker") -> None:
        super().__init__(url, task, schema)

    def statement(self) -> str:
        columns = COLUMNS.format(
            waiting=WAITING,
            running=f"locked_at IS NOT NULL AND NOT {LOST}",
            stuck=LOST,
            future="locked_at IS NULL AND NOT due",
        )
        jobs = JOBS.format(jobs=self.named(self.table))
        return STATEMENT.format(columns=columns, waiting=WAITING, jobs=jobs)


TYPE = GraphileWorkerMetric
