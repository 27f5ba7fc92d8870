"""The metric of a queue of Bull, from which BullMQ came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.bullmq import PER_MS, age_of
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

PREFIX = "bull"


class BullMetric(JobsMetric):
    """The jobs of a queue of Bull (items). Those of a worker that is gone are active, too, until a live one
    has found them out."""

    type_name, summary = "Bull", "the jobs of a queue of Bull (Node.js)"
    fields = (
        URL,
        Field("queueName", "Queue", required=True),
        Field("prefix", "Prefix of keys", default=PREFIX),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> BullMetric:
        return cls(values["url"], values["queueName"], values["prefix"])

    def __init__(self, url: str, queue: str, prefix: str = PREFIX) -> None:
        self.prefix = prefix
        super().__init__(url, queue, prefix)

    def commands(self, now: float) -> list[Command]:
        base = f"{self.prefix}:{self.queue}"
        due = (int(now * 1000) + 1) * PER_MS - 1
        return [
            ("LLEN", f"{base}:wait"),  # prioritised jobs are among them, unlike in BullMQ
            ("LLEN", f"{base}:paused"),  # the same jobs during a pause
            ("ZCARD", f"{base}:delayed"),
            ("ZCOUNT", f"{base}:delayed", "-inf", due),
            ("LLEN", f"{base}:active"),
            ("EXISTS", f"{base}:meta-paused"),
            ("EXISTS", f"{base}:id"),
            ("LINDEX", f"{base}:wait", "-1"),
        ]

    def further(self, first: list[Any]) -> list[Command]:
        oldest = first[-1]
        base = f"{self.prefix}:{self.queue}:".encode()
        return [("HGET", base + oldest, "timestamp")] if isinstance(oldest, bytes) else []

    def measurement(self, answers: Answers) -> Measurement:
        ready, held, later, due, active, paused, _ = map(count, answers.first[:-1])
        return Measurement(
            ready + held + due,
            active,
            future=later - due,
            paused=bool(paused),
            oldest_age_s=age_of(answers.further[0], answers.now) if answers.further else None,
        )

    def exists(self, first: list[Any]) -> bool:
        # The counter of its ids stays for as long as the queue does.
        return any(first[:5]) or bool(first[6])

    def known_in(self) -> str:
        return f"{self.prefix}:*:id"

    def name_in(self, entry: str) -> str:
        return entry.removeprefix(f"{self.prefix}:").removesuffix(":id")


TYPE = BullMetric
