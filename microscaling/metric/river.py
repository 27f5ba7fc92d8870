"""The metric of a queue of River."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import COLUMNS, SCHEMA, URL, TableJobsMetric
from microscaling.metric.postgresql_listener import SCHEMA as SCHEMA_OF_USER
from microscaling.plugins import Field
from microscaling.settings import Settings

RESCUE_S = 3600.0
"""River's default of RescueStuckJobsAfter."""

# What has come due stays `scheduled` or `retryable` until a live leader moves it, so the time decides.
WAITING = "state IN ('available', 'scheduled', 'retryable') AND scheduled_at <= now()"
LOST = "attempted_at <= now() - {rescue_s:f} * interval '1 second'"
STATEMENT = """
SELECT name, {columns}, bool_or(paused),
    extract(epoch FROM now() - min(scheduled_at) FILTER (WHERE {waiting}))
FROM (
    SELECT queue AS name, state, scheduled_at, attempted_at, NULL AS paused
    FROM {jobs} WHERE state IN ('available', 'scheduled', 'retryable', 'running') AND queue = ANY(%(queues)s)
    UNION ALL
    SELECT name, NULL, NULL, NULL, paused_at IS NOT NULL
    FROM {queues} WHERE name = ANY(%(queues)s)
) job GROUP BY name"""


class RiverMetric(TableJobsMetric):
    """The jobs of a queue of River (items). Jobs that run for longer than until their rescue are stuck."""

    type_name, summary = "River", "the jobs of a queue of River (Go)"
    fields = (
        URL,
        Field("queueName", "Queue", default="default"),
        SCHEMA,
        Field(
            "rescueSeconds",
            "Rescued after",
            kind="number",
            default=RESCUE_S,
            hint="RescueStuckJobsAfter of the clients: a job that runs for longer is stuck",
        ),
    )
    table = "river_job"
    column, of_queues = "name", "river_queue"
    created_by = "`river migrate-up`"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> RiverMetric:
        return cls(values["url"], values["queueName"], values["schema"], values["rescueSeconds"])

    def __init__(
        self, url: str, queue: str = "default", schema: str = "", rescue_s: float = RESCUE_S
    ) -> None:
        self.rescue_s = rescue_s
        self.channel = f"{schema or SCHEMA_OF_USER}.river_insert"
        super().__init__(url, queue, schema, rescue_s)

    def statement(self) -> str:
        lost = LOST.format(rescue_s=self.rescue_s)
        columns = COLUMNS.format(
            waiting=WAITING,
            running=f"state = 'running' AND NOT {lost}",
            stuck=f"state = 'running' AND {lost}",
            future="state IN ('scheduled', 'retryable') AND scheduled_at > now()",
        )
        tables = {"jobs": self.named(self.table), "queues": self.named("river_queue")}
        return STATEMENT.format(columns=columns, waiting=WAITING, **tables)


TYPE = RiverMetric
