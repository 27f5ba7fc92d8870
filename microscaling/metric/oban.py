"""The metric of a queue of Oban."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import COLUMNS, SCHEMA, URL, UTC, TableJobsMetric
from microscaling.metric.postgresql_listener import SCHEMA as SCHEMA_OF_USER
from microscaling.plugins import Field
from microscaling.settings import Settings

RESCUE_S = 3600.0
"""Default of rescue_after in Oban's plugin Lifeline."""

# What has come due stays `scheduled` or `retryable` until a live node stages it, so the time decides.
WAITING = f"state IN ('available', 'scheduled', 'retryable') AND scheduled_at <= {UTC}"
LOST = f"attempted_at <= {UTC} - {{rescue_s:f}} * interval '1 second'"
STATEMENT = """
SELECT queue, {columns}, false, extract(epoch FROM {utc} - min(scheduled_at) FILTER (WHERE {waiting}))
FROM {jobs} WHERE state IN ('available', 'scheduled', 'retryable', 'executing') AND queue = ANY(%(queues)s)
GROUP BY queue"""


class ObanMetric(TableJobsMetric):
    """The jobs of a queue of Oban (items). Jobs that run for longer than until their rescue are stuck."""

    type_name, summary = "Oban", "the jobs of a queue of Oban (Elixir)"
    fields = (
        URL,
        Field("queueName", "Queue", default="default"),
        Field(SCHEMA.key, SCHEMA.label, hint="Oban's prefix; empty: the search path of the user"),
        Field(
            "rescueSeconds",
            "Rescued after",
            kind="number",
            default=RESCUE_S,
            hint="rescue_after of the plugin Lifeline: a job that runs for longer is stuck",
        ),
    )
    table, column = "oban_jobs", "queue"
    created_by = "Oban's migration"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> ObanMetric:
        return cls(values["url"], values["queueName"], values["schema"], values["rescueSeconds"])

    def __init__(
        self, url: str, queue: str = "default", schema: str = "", rescue_s: float = RESCUE_S
    ) -> None:
        self.rescue_s = rescue_s
        self.channel = f"{schema or SCHEMA_OF_USER}.oban_insert"
        super().__init__(url, queue, schema, rescue_s)

    def statement(self) -> str:
        lost = LOST.format(rescue_s=self.rescue_s)
        columns = COLUMNS.format(
            waiting=WAITING,
            running=f"state = 'executing' AND NOT {lost}",
            stuck=f"state = 'executing' AND {lost}",
            future=f"state IN ('scheduled', 'retryable') AND scheduled_at > {UTC}",
        )
        return STATEMENT.format(columns=columns, waiting=WAITING, utc=UTC, jobs=self.named(self.table))


TYPE = ObanMetric
