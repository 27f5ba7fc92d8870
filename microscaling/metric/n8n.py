"""The metric of n8n's queue mode, which is a queue of Bull."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.bull import PREFIX, BullMetric
from microscaling.metric.redis_jobs import URL
from microscaling.plugins import Field
from microscaling.settings import Settings

QUEUE = "jobs"


class N8NMetric(BullMetric):
    """The executions of n8n in queue mode (items)."""

    type_name, summary = "N8N", "the executions of n8n in queue mode"
    fields = (
        URL,
        Field("queueName", "Queue", default=QUEUE, hint="jobs-NAME for a pool of workers"),
        Field(
            "prefix", "Prefix of keys", default=PREFIX, hint="QUEUE_BULL_PREFIX of n8n; on a cluster in {}"
        ),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> N8NMetric:
        return cls(values["url"], values["queueName"], values["prefix"])

    def __init__(self, url: str, queue: str = QUEUE, prefix: str = PREFIX) -> None:
        super().__init__(url, queue, prefix)


TYPE = N8NMetric
