"""The metric of a queue of RQ."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

QUEUES = "rq:queues"
PREFIX = "rq:queue:"


class RQMetric(JobsMetric):
    """The jobs of a queue of RQ (items).

    Scheduled jobs that are due wait too: only a worker with a scheduler moves them. A job in progress whose
    heartbeat is late belongs to a worker that is gone.
    """

    type_name, summary = "RQ", "the jobs of a queue of RQ (Python)"
    fields = (URL, Field("queueName", "Queue", default="default"))

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> RQMetric:
        return cls(values["url"], values["queueName"])

    def __init__(self, url: str, queue: str = "default") -> None:
        super().__init__(url, queue)

    def commands(self, now: float) -> list[Command]:
        ready, later, taken = PREFIX + self.queue, f"rq:scheduled:{self.queue}", f"rq:wip:{self.queue}"
        return [
            ("LLEN", ready),
            ("LLEN", f"{ready}:intermediate"),  # on its way from the queue to a worker
            ("ZCARD", later),
            ("ZCOUNT", later, "-inf", int(now)),
            ("ZCARD", taken),
            ("ZCOUNT", taken, "-inf", int(now)),
            ("EXISTS", "rq:suspended"),
            ("SISMEMBER", QUEUES, ready),
            ("LINDEX", ready, "0"),
        ]

    def further(self, first: list[Any]) -> list[Command]:
        oldest = first[-1]
        return [("HGET", b"rq:job:" + oldest, "enqueued_at")] if isinstance(oldest, bytes) else []

    def measurement(self, answers: Answers) -> Measurement:
        ready, on_its_way, later, due, taken, stuck, suspended, _ = map(count, answers.first[:-1])
        return Measurement(
            ready + on_its_way + due,
            taken - stuck,
            stuck,
            later - due,
            paused=bool(suspended),
            oldest_age_s=_age(answers.further[0], answers.now) if answers.further else None,
        )

    def exists(self, first: list[Any]) -> bool:
        # A job for later alone does not make the queue known.
        return bool(first[7] or first[0] or first[2] or first[4])

    def known_in(self) -> str:
        return QUEUES

    def name_in(self, entry: str) -> str:
        return entry.removeprefix(PREFIX)


def _age(enqueued_at: Any, now: float) -> float | None:
    """Returns the age of a job in seconds; None if it is not known: another worker may have taken it."""
    try:
        since = datetime.fromisoformat(enqueued_at.decode().replace("Z", "+00:00"))
    except (ValueError, AttributeError):
        return None
    since = since if since.tzinfo else since.replace(tzinfo=timezone.utc)
    return max(0.0, now - since.timestamp())


TYPE = RQMetric
