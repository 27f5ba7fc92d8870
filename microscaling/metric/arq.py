"""The metric of a queue of arq."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

QUEUE = "arq:queue"
LOOK_AT = 100
NO_QUEUES = ("abort", "in-progress:", "job:", "result:", "retry:")
"""What else begins with arq:"""


class ARQMetric(JobsMetric):
    """The jobs of a queue of arq (items).

    Those that run stay in the queue, and have a key each, which expires after the job's time-out. A worker
    takes the earliest first, so they are among the first of those that are due.
    """

    type_name, summary = "ARQ", "the jobs of a queue of arq (Python)"
    fields = (
        URL,
        Field("queueName", "Queue", default=QUEUE),
        Field(
            "lookAtRunning",
            "Look at",
            kind="whole",
            default=LOOK_AT,
            least=1,
            most=10_000,
            hint="of so many jobs that are due it is found out which of them run",
        ),
    )
    may_be_missing = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> ARQMetric:
        return cls(values["url"], values["queueName"], values["lookAtRunning"])

    def __init__(self, url: str, queue: str = QUEUE, look_at: int = LOOK_AT) -> None:
        self.look_at = look_at
        super().__init__(url, queue, look_at)

    def commands(self, now: float) -> list[Command]:
        until = int(now * 1000)
        # The health check has a count of running jobs, but one of a single worker, and up to an hour old.
        return [
            ("ZCARD", self.queue),
            ("ZCOUNT", self.queue, "-inf", until),
            ("ZRANGEBYSCORE", self.queue, "-inf", until, "LIMIT", "0", self.look_at),
        ]

    def further(self, first: list[Any]) -> list[Command]:
        ids = first[2]
        # One command for all of them: it counts the keys that there are.
        return [("EXISTS", *(b"arq:in-progress:" + name for name in ids))] if ids else []

    def measurement(self, answers: Answers) -> Measurement:
        all_of_them, due = map(count, answers.first[:2])
        # A job that has just begun is in the queue of the first answer, one that has just ended too.
        running = min(due, count(answers.further[0])) if answers.further else 0
        return Measurement(due - running, running, future=all_of_them - due)

    def exists(self, first: list[Any]) -> bool:
        return bool(first[0])

    def known_in(self) -> str:
        return "arq:*"

    def name_in(self, entry: str) -> str:
        other = entry.removeprefix("arq:").startswith(NO_QUEUES) or entry.endswith(":health-check")
        return "" if other else entry


TYPE = ARQMetric
