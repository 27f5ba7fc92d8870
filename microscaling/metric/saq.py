"""The metric of a queue of SAQ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings


class SAQMetric(JobsMetric):
    """The jobs of a queue of SAQ in Redis (items). Those that are due wait, too, as only a worker moves
    them. The jobs of a worker that is gone are active until a live one finds that their time is over."""

    type_name, summary = "SAQ", "the jobs of a queue of SAQ in Redis (Python)"
    fields = (URL, Field("queueName", "Queue", default="default"))
    may_be_missing = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> SAQMetric:
        return cls(values["url"], values["queueName"])

    def __init__(self, url: str, queue: str = "default") -> None:
        super().__init__(url, queue)

    def commands(self, now: float) -> list[Command]:
        base = f"saq:{self.queue}"
        return [
            ("LLEN", f"{base}:queued"),
            ("LLEN", f"{base}:active"),
            # A scheduled job stays in this set alone until a worker moves it.
            # The score is 0 once a job is queued or active.
            ("ZCOUNT", f"{base}:incomplete", "1", int(now)),
            ("ZCOUNT", f"{base}:incomplete", f"({int(now)}", "+inf"),
        ]

    def measurement(self, answers: Answers) -> Measurement:
        queued, active, due, later = map(count, answers.first)
        return Measurement(queued + due, active, future=later)

    def exists(self, first: list[Any]) -> bool:
        return any(first)

    def known_in(self) -> str:
        return "saq:*:incomplete"

    def name_in(self, entry: str) -> str:
        return entry.removeprefix("saq:").removesuffix(":incomplete")


TYPE = SAQMetric
