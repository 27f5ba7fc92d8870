"""The metric of a queue of Procrastinate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import COLUMNS, SCHEMA, URL, TableJobsMetric
from microscaling.plugins import Field
from microscaling.settings import Settings

STALLED_S = 30.0
"""Procrastinate's default of stalled_worker_timeout."""

# As in Procrastinate's procrastinate_fetch_job_v2: of the jobs with one lock, in all queues, only the
# first may run, even while its time has not come, and none while another one runs.
FIRST = """
SELECT DISTINCT ON (lock) lock, id FROM {jobs} WHERE status IN ('todo', 'doing') AND lock IS NOT NULL
ORDER BY lock, status = 'doing' DESC, priority DESC, id"""
COUNTS = """
SELECT queue_name, {columns}, min(job.id) FILTER (WHERE {waiting}) AS oldest
FROM {jobs} job LEFT JOIN {workers} worker ON worker.id = job.worker_id LEFT JOIN ({first}) first USING (lock)
WHERE status IN ('todo', 'doing') AND queue_name = ANY(%(queues)s) GROUP BY queue_name"""
# Jobs have no time of their own: it is in their events, and looked up for the first job only.
STATEMENT = """
SELECT queue_name, counts.waiting, running, stuck, future, false, (
    SELECT extract(epoch FROM now() - greatest(job.scheduled_at, max(event.at)))
    FROM {jobs} job JOIN {events} event ON event.job_id = job.id
    WHERE job.id = counts.oldest AND event.type IN ('deferred', 'deferred_for_retry', 'retried')
    GROUP BY job.id
) FROM ({counts}) counts (queue_name, waiting, running, stuck, future, oldest)"""
WAITING = (
    """status = 'todo' AND coalesce(scheduled_at <= now(), true) AND (lock IS NULL OR job.id = first.id)"""
)
# Other workers delete the row of one that is gone, and its jobs then have none.
ALIVE = "coalesce(worker.last_heartbeat > now() - {stalled_s:f} * interval '1 second', false)"


class ProcrastinateMetric(TableJobsMetric):
    """The jobs of a queue of Procrastinate (items).

    Of the jobs with one lock only the first counts, as the others wait for it. A job in progress whose
    worker has no heartbeat any more is stuck; the application has to retry it.
    """

    type_name, summary = "Procrastinate", "the jobs of a queue of Procrastinate (Python)"
    fields = (
        URL,
        Field("queueName", "Queue", default="default"),
        SCHEMA,
        Field(
            "stalledSeconds",
            "Stalled after",
            kind="number",
            default=STALLED_S,
            hint="stalled_worker_timeout of the workers: without a heartbeat for so long, one is gone",
        ),
    )
    table = "procrastinate_jobs"
    column = "queue_name"
    created_by = "`procrastinate schema --apply`"
    channel = "procrastinate_any_queue_v1"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> ProcrastinateMetric:
        return cls(values["url"], values["queueName"], values["schema"], values["stalledSeconds"])

    def __init__(
        self, url: str, queue: str = "default", schema: str = "", stalled_s: float = STALLED_S
    ) -> None:
        self.stalled_s = stalled_s
        super().__init__(url, queue, schema, stalled_s)

    def statement(self) -> str:
        alive = ALIVE.format(stalled_s=self.stalled_s)
        columns = COLUMNS.format(
            waiting=WAITING,
            running=f"status = 'doing' AND {alive}",
            stuck=f"status = 'doing' AND NOT {alive}",
            future="status = 'todo' AND scheduled_at > now()",
        )
        tables = {name: self.named(f"procrastinate_{name}") for name in ("jobs", "workers", "events")}
        first = FIRST.format(**tables)
        counts = COUNTS.format(columns=columns, waiting=WAITING, first=first, **tables)
        return STATEMENT.format(counts=counts, **tables)


TYPE = ProcrastinateMetric
