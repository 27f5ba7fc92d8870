"""The metric of a queue of Bee-Queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

PREFIX = "bq"


class BeeQueueMetric(JobsMetric):
    """The jobs of a queue of Bee-Queue (items). The jobs of a worker that is gone are active, too, until a
    live one looks for them."""

    type_name, summary = "BeeQueue", "the jobs of a queue of Bee-Queue (Node.js)"
    fields = (
        URL,
        Field("queueName", "Queue", required=True),
        Field("prefix", "Prefix of keys", default=PREFIX),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> BeeQueueMetric:
        return cls(values["url"], values["queueName"], values["prefix"])

    def __init__(self, url: str, queue: str, prefix: str = PREFIX) -> None:
        self.prefix = prefix
        super().__init__(url, queue, prefix)

    def commands(self, now: float) -> list[Command]:
        base = f"{self.prefix}:{self.queue}"
        return [
            ("LLEN", f"{base}:waiting"),
            ("LLEN", f"{base}:active"),
            ("ZCARD", f"{base}:delayed"),
            ("ZCOUNT", f"{base}:delayed", "-inf", int(now * 1000)),
            ("EXISTS", f"{base}:id"),
        ]

    def measurement(self, answers: Answers) -> Measurement:
        waiting, active, later, due, _ = map(count, answers.first)
        return Measurement(waiting + due, active, future=later - due)

    def exists(self, first: list[Any]) -> bool:
        # The counter of its ids is not there if the program gives each job an id of its own.
        return any(first)

    def known_in(self) -> str:
        return f"{self.prefix}:*:id"

    def name_in(self, entry: str) -> str:
        return entry.removeprefix(f"{self.prefix}:").removesuffix(":id")


TYPE = BeeQueueMetric
