"""The metric of a queue of BullMQ, and so of the libraries that are built on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

PER_MS = 4096
"""The score of a delayed job is its time in milliseconds times this, plus a number below it."""

LIMITED = b"9007199254740991"
"""The limiter while a pause of all is asked for (rateLimit); else it counts the jobs of a period."""


class BullMQMetric(JobsMetric):
    """The jobs of a queue of BullMQ (items). The jobs of a worker that is gone are active, too, until a live
    one has found them out."""

    type_name, summary = "BullMQ", "the jobs of a queue of BullMQ (Node.js)"
    fields = (
        URL,
        Field("queueName", "Queue", required=True),
        Field("prefix", "Prefix of keys", default="bull"),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> BullMQMetric:
        return cls(values["url"], values["queueName"], values["prefix"])

    def __init__(self, url: str, queue: str, prefix: str = "bull") -> None:
        self.prefix = prefix
        super().__init__(url, queue, prefix)

    def commands(self, now: float) -> list[Command]:
        base = f"{self.prefix}:{self.queue}"
        due = (int(now * 1000) + 1) * PER_MS - 1
        return [
            ("LLEN", f"{base}:wait"),
            ("LLEN", f"{base}:paused"),  # the same jobs while BullMQ 5 is paused
            ("ZCARD", f"{base}:prioritized"),
            ("ZCARD", f"{base}:delayed"),
            ("ZCOUNT", f"{base}:delayed", "-inf", due),
            ("LLEN", f"{base}:active"),
            ("HEXISTS", f"{base}:meta", "paused"),
            ("EXISTS", f"{base}:meta"),
            ("GET", f"{base}:limiter"),
            ("LINDEX", f"{base}:wait", "-1"),
        ]

    def further(self, first: list[Any]) -> list[Command]:
        oldest = first[-1]
        base = f"{self.prefix}:{self.queue}:".encode()
        return [("HGET", base + oldest, "timestamp")] if isinstance(oldest, bytes) else []

    def measurement(self, answers: Answers) -> Measurement:
        ready, held, prioritized, later, due, active, paused, _ = map(count, answers.first[:-2])
        return Measurement(
            ready + held + prioritized + due,
            active,
            future=later - due,
            paused=bool(paused) or answers.first[-2] == LIMITED,
            oldest_age_s=age_of(answers.further[0], answers.now) if answers.further else None,
        )

    def exists(self, first: list[Any]) -> bool:
        return bool(first[7]) or any(first[:6])

    def known_in(self) -> str:
        return f"{self.prefix}:*:meta"

    def name_in(self, entry: str) -> str:
        return entry.removeprefix(f"{self.prefix}:").removesuffix(":meta")


def age_of(timestamp: Any, now: float) -> float | None:
    """Returns the age of a job in seconds; None if it is not known."""
    digits = timestamp.decode("ascii", "replace") if isinstance(timestamp, bytes) else ""
    return max(0.0, now - int(digits) / 1000) if digits.isdecimal() and len(digits) < 16 else None


TYPE = BullMQMetric
