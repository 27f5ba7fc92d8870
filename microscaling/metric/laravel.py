"""The metric of a queue of Laravel in Redis, and so of Horizon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

PREFIX = "laravel_database_"
QUEUES = "queues:"
PARTS = (":delayed", ":notify", ":reserved")
"""The ends of further keys of a queue."""


class LaravelMetric(JobsMetric):
    """The jobs of a queue of Laravel (items). Those that are due, and those of a worker that is gone, come
    back at the next look of any worker, so they wait."""

    type_name, summary = "Laravel", "the jobs of a queue of Laravel in Redis, with Horizon or without (PHP)"
    fields = (
        URL,
        Field("queueName", "Queue", default="default"),
        Field("prefix", "Prefix of keys", default=PREFIX, hint="REDIS_PREFIX, or the options of its redis"),
    )
    may_be_missing = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> LaravelMetric:
        return cls(values["url"], values["queueName"], values["prefix"])

    def __init__(self, url: str, queue: str = "default", prefix: str = PREFIX) -> None:
        self.prefix = prefix
        super().__init__(url, queue, prefix)

    def commands(self, now: float) -> list[Command]:
        base, until = f"{self.prefix}{QUEUES}{self.queue}", int(now)
        return [
            ("LLEN", base),
            ("ZCARD", f"{base}:delayed"),
            ("ZCOUNT", f"{base}:delayed", "-inf", until),
            ("ZCARD", f"{base}:reserved"),
            # The score of a job in work is the time at which another worker may have it.
            ("ZCOUNT", f"{base}:reserved", "-inf", until),
            ("LINDEX", base, "0"),
        ]

    def measurement(self, answers: Answers) -> Measurement:
        ready, later, due, reserved, expired = map(count, answers.first[:-1])
        return Measurement(
            ready + due + expired,
            reserved - expired,
            future=later - due,
            oldest_age_s=_age(answers.first[-1], answers.now),
        )

    def exists(self, first: list[Any]) -> bool:
        return any(first[:-1])

    def known_in(self) -> str:
        return f"*{QUEUES}*"  # the prefix is what is wrong most often

    def name_in(self, entry: str) -> str:
        for part in PARTS:
            entry = entry.removesuffix(part)
        return entry.removeprefix(f"{self.prefix}{QUEUES}")


def _age(job: Any, now: float) -> float | None:
    """Returns the age of a job in seconds; None if it is not known: older versions do not write it down."""
    try:
        described = json.loads(job)
        return max(0.0, now - float(described.get("pushedAt") or described["createdAt"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


TYPE = LaravelMetric
