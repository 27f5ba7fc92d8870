"""The metric of a queue of pg-boss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import COLUMNS, SCHEMA, URL, TableJobsMetric
from microscaling.plugins import Field
from microscaling.settings import Settings

# As in pg-boss' fetchNextJob: with some policies one job of a key is active at a time. With key_strict_fifo a
# job that has failed is in the way of its key, too. The counts in the table of queues are not of now.
JOBS = """
SELECT job.*, start_after <= now() AND NOT blocked AS due, row_number() OVER (
    PARTITION BY name, policy, singleton_key
    ORDER BY
        state IN ('active', 'failed') DESC, start_after <= now() AND NOT blocked DESC, state DESC,
        created_on, id
) AS place FROM {jobs} job
WHERE name = ANY(%(queues)s) AND (state <= 'active' OR (state = 'failed' AND policy = 'key_strict_fifo'))"""
WAITING = """
state < 'active' AND due
AND (place = 1 OR coalesce(policy NOT IN ('singleton', 'stately', 'key_strict_fifo'), true))"""
# Both by the settings of the job itself, which a queue gives to its jobs.
ALIVE = """
(started_on + expire_seconds * interval '1 second' > now()
AND coalesce(heartbeat_on + heartbeat_seconds * interval '1 second' > now(), true))"""
# A queue without jobs has a row, too: it exists.
STATEMENT = """
SELECT queue.name, {columns}, false,
    extract(epoch FROM now() - min(greatest(created_on, start_after)) FILTER (WHERE {waiting}))
FROM (SELECT name FROM {queues} WHERE name = ANY(%(queues)s)) queue LEFT JOIN ({jobs}) job USING (name)
GROUP BY queue.name"""


class PgBossMetric(TableJobsMetric):
    """The jobs of a queue of pg-boss (items).

    Of the jobs with one key only the one that may run counts, if the queue has such a policy. An active job
    past its expiry, or without a heartbeat, is stuck: the supervision of a live pg-boss fails or retries it.
    """

    type_name, summary = "PgBoss", "the jobs of a queue of pg-boss (Node.js)"
    fields = (
        URL,
        Field("queueName", "Queue", required=True),
        Field(SCHEMA.key, SCHEMA.label, default="pgboss", hint="of its tables"),
    )
    table = "job"
    column, of_queues = "name", "queue"
    created_by = "the start of pg-boss"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> PgBossMetric:
        return cls(values["url"], values["queueName"], values["schema"])

    def __init__(self, url: str, queue: str, schema: str = "pgboss") -> None:
        super().__init__(url, queue, schema)

    def statement(self) -> str:
        columns = COLUMNS.format(
            waiting=WAITING,
            running=f"state = 'active' AND {ALIVE}",
            stuck=f"state = 'active' AND NOT {ALIVE}",
            future="state < 'active' AND start_after > now()",
        )
        jobs = JOBS.format(jobs=self.named(self.table))
        return STATEMENT.format(columns=columns, waiting=WAITING, jobs=jobs, queues=self.named("queue"))


TYPE = PgBossMetric
