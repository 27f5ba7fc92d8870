"""The metric of an entrypoint of PgQueuer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.postgresql_jobs import COLUMNS, SCHEMA, URL, TableJobsMetric
from microscaling.plugins import Field
from microscaling.settings import Settings

HEARTBEAT_S = 30.0
"""PgQueuer's default of heartbeat_timeout."""

# PgQueuer's own figure of a queue's size has the jobs for later in it, too.
WAITING = "status = 'queued' AND execute_after <= now()"
# The worker of a job refreshes its heartbeat; the one of a picked job is never NULL.
ALIVE = "heartbeat > now() - {heartbeat_s:f} * interval '1 second'"
STATEMENT = """
SELECT entrypoint, {columns}, false,
    extract(epoch FROM now() - min(greatest(created, execute_after)) FILTER (WHERE {waiting}))
FROM {table} WHERE status IN ('queued', 'picked') AND entrypoint = ANY(%(queues)s) GROUP BY entrypoint"""


class PgQueuerMetric(TableJobsMetric):
    """The jobs of an entrypoint of PgQueuer (items).

    A job that was picked and has no heartbeat any more is stuck: a live worker picks it again.
    """

    type_name, summary = "PgQueuer", "the jobs of an entrypoint of PgQueuer (Python)"
    fields = (
        URL,
        Field("queueName", "Entrypoint", required=True),
        Field("prefix", "Prefix", hint="PGQUEUER_PREFIX of the workers"),
        SCHEMA,
        Field(
            "heartbeatTimeoutSeconds",
            "Heartbeat time-out",
            kind="number",
            default=HEARTBEAT_S,
            hint="heartbeat_timeout of the workers: a job without a heartbeat for so long is stuck",
        ),
    )
    table = "pgqueuer"
    column = "entrypoint"
    created_by = "`pgq install`"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> PgQueuerMetric:
        return cls(
            values["url"],
            values["queueName"],
            values["prefix"],
            values["schema"],
            values["heartbeatTimeoutSeconds"],
        )

    def __init__(
        self, url: str, queue: str, prefix: str = "", schema: str = "", heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self.prefix = prefix
        self.channel = f"{prefix}ch_pgqueuer"
        self.heartbeat_s = heartbeat_s
        super().__init__(url, queue, schema, prefix, heartbeat_s)

    def statement(self) -> str:
        alive = ALIVE.format(heartbeat_s=self.heartbeat_s)
        columns = COLUMNS.format(
            waiting=WAITING,
            running=f"status = 'picked' AND {alive}",
            stuck=f"status = 'picked' AND NOT {alive}",
            future="status = 'queued' AND execute_after > now()",
        )
        return STATEMENT.format(columns=columns, waiting=WAITING, table=self.named(self.table))

    def named(self, table: str) -> str:
        return super().named(self.prefix + table)


TYPE = PgQueuerMetric
