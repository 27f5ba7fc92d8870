"""The metric of a queue of Solid Queue, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import COLUMNS, SCHEMA, URL, UTC, TableJobsMetric
from microscaling.plugins import Field
from microscaling.settings import Settings

ALIVE_S = 300.0
"""Solid Queue's default of process_alive_threshold."""

# What has come due stays in the table of the scheduled ones until a live dispatcher moves it. Those that wait
# for another one with their concurrency key, in solid_queue_blocked_executions, are in no number.
JOBS = """
SELECT queue_name, 'waiting' AS state, created_at AS since FROM {ready} WHERE queue_name = ANY(%(queues)s)
UNION ALL
SELECT queue_name, CASE WHEN scheduled_at <= {utc} THEN 'waiting' ELSE 'future' END, scheduled_at
FROM {scheduled} WHERE queue_name = ANY(%(queues)s)
UNION ALL
SELECT queue_name, CASE WHEN process.last_heartbeat_at > {utc} - {alive_s:f} * interval '1 second'
    THEN 'running' ELSE 'stuck' END, claimed.created_at
FROM {claimed} claimed JOIN {jobs} job ON job.id = claimed.job_id
LEFT JOIN {processes} process ON process.id = claimed.process_id WHERE queue_name = ANY(%(queues)s)"""
STATEMENT = """
SELECT queue_name, {columns}, queue_name IN (SELECT pause.queue_name FROM {pauses} pause),
    extract(epoch FROM {utc} - min(since) FILTER (WHERE state = 'waiting'))
FROM ({jobs}) job GROUP BY queue_name"""


class SolidQueueMetric(TableJobsMetric):
    """The jobs of a queue of Solid Queue (items).

    A job that was claimed by a process without a heartbeat is stuck: a live supervisor fails it.
    """

    type_name, summary = "SolidQueue", "the jobs of a queue of Solid Queue (Ruby on Rails), in PostgreSQL"
    fields = (
        URL,
        Field("queueName", "Queue", default="default"),
        SCHEMA,
        Field(
            "processAliveSeconds",
            "Process alive",
            kind="number",
            default=ALIVE_S,
            hint="process_alive_threshold: the jobs of a process without a heartbeat for so long are stuck",
        ),
    )
    table, column = "solid_queue_jobs", "queue_name"
    created_by = "Solid Queue's db/queue_schema.rb"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> SolidQueueMetric:
        return cls(values["url"], values["queueName"], values["schema"], values["processAliveSeconds"])

    def __init__(self, url: str, queue: str = "default", schema: str = "", alive_s: float = ALIVE_S) -> None:
        self.alive_s = alive_s
        super().__init__(url, queue, schema, alive_s)

    def statement(self) -> str:
        states = {name: f"state = '{name}'" for name in ("waiting", "running", "stuck", "future")}
        tables = {name: self.named(f"solid_queue_{name}") for name in ("jobs", "pauses", "processes")}
        tables |= {
            name: self.named(f"solid_queue_{name}_executions") for name in ("ready", "scheduled", "claimed")
        }
        jobs = JOBS.format(alive_s=self.alive_s, utc=UTC, **tables)
        return STATEMENT.format(columns=COLUMNS.format(**states), utc=UTC, jobs=jobs, pauses=tables["pauses"])


TYPE = SolidQueueMetric
