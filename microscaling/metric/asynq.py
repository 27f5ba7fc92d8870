"""The metric of a queue of asynq."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

QUEUES = "asynq:queues"
LATER = ("scheduled", "retry")


class AsynqMetric(JobsMetric):
    """The tasks of a queue of asynq (items). Those that are due wait, too, as only a server moves them; so
    does each group of tasks, as one. A task whose lease has run out belongs to a server that is gone."""

    type_name, summary = "Asynq", "the tasks of a queue of asynq (Go)"
    fields = (URL, Field("queueName", "Queue", default="default"))

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> AsynqMetric:
        return cls(values["url"], values["queueName"])

    def __init__(self, url: str, queue: str = "default") -> None:
        super().__init__(url, queue)

    def commands(self, now: float) -> list[Command]:
        base, until = f"asynq:{{{self.queue}}}", int(now)
        return [
            ("LLEN", f"{base}:pending"),
            ("LLEN", f"{base}:active"),
            ("ZCOUNT", f"{base}:lease", "-inf", until),
            *(("ZCARD", f"{base}:{name}") for name in LATER),
            *(("ZCOUNT", f"{base}:{name}", "-inf", until) for name in LATER),
            # A server makes one task of all that are in a group.
            ("SCARD", f"{base}:groups"),
            ("EXISTS", f"{base}:paused"),
            ("SISMEMBER", QUEUES, self.queue),
            ("LINDEX", f"{base}:pending", "-1"),
        ]

    def further(self, first: list[Any]) -> list[Command]:
        oldest = first[-1]
        base = f"asynq:{{{self.queue}}}:t:".encode()
        return [("HGET", base + oldest, "pending_since")] if isinstance(oldest, bytes) else []

    def measurement(self, answers: Answers) -> Measurement:
        pending, active, expired, *of_sets, groups, paused, _ = map(count, answers.first[:-1])
        later, due = sum(of_sets[: len(LATER)]), sum(of_sets[len(LATER) :])
        stuck = min(expired, active)
        return Measurement(
            pending + due + groups,
            active - stuck,
            stuck,
            later - due,
            paused=bool(paused),
            oldest_age_s=_age(answers.further[0], answers.now) if answers.further else None,
        )

    def exists(self, first: list[Any]) -> bool:
        return bool(first[-2]) or any(first[:5])

    def known_in(self) -> str:
        return QUEUES


def _age(since: Any, now: float) -> float | None:
    """Returns the age of a task in seconds; None if it is not known, as of one that a server gave back at its
    end."""
    digits = since.decode("ascii", "replace") if isinstance(since, bytes) else ""
    return max(0.0, now - int(digits) / 1e9) if digits.isdecimal() and len(digits) < 22 else None


TYPE = AsynqMetric
