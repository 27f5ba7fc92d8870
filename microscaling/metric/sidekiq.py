"""The metric of a queue of Sidekiq."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

LATER = ("schedule", "retry")
"""The jobs for later of all queues."""
LOOK_AT = 100
"""Due jobs that are looked at for their queue; a process moves them within seconds, so there are few."""
GONE_S = 30.0
"""Age of the beat of a process that is gone; a live one has one every 10 s."""
BEAT_S = 10.0


class SidekiqMetric(JobsMetric):
    """The jobs of a queue of Sidekiq (items). Those that are due wait, too: only a process moves them from
    the sets of all queues. The jobs of a process that is gone are lost, so none is stuck."""

    type_name, summary = "Sidekiq", "the jobs of a queue of Sidekiq (Ruby)"
    fields = (
        URL,
        Field("queueName", "Queue", default="default"),
        Field("namespace", "Namespace", hint="of the gem redis-namespace, if you use it"),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> SidekiqMetric:
        return cls(values["url"], values["queueName"], values["namespace"])

    def __init__(self, url: str, queue: str = "default", namespace: str = "") -> None:
        self.prefix = f"{namespace}:" if namespace else ""
        super().__init__(url, queue, namespace)

    def commands(self, now: float) -> list[Command]:
        ready, until = f"{self.prefix}queue:{self.queue}", f"{now:.3f}"
        later = [self.prefix + name for name in LATER]
        return [
            ("LLEN", ready),
            ("SISMEMBER", self.known_in(), self.queue),
            *(("ZCARD", name) for name in later),
            *(("ZCOUNT", name, "-inf", until) for name in later),
            *(("ZRANGEBYSCORE", name, "-inf", until, "LIMIT", "0", LOOK_AT) for name in later),
            ("LINDEX", ready, "-1"),
            ("SMEMBERS", f"{self.prefix}processes"),
        ]

    def further(self, first: list[Any]) -> list[Command]:
        prefix = self.prefix.encode()
        return [("HMGET", prefix + process, "busy", "beat", "info") for process in first[-1]]

    def measurement(self, answers: Answers) -> Measurement:
        ready, _, *of_sets = map(count, answers.first[:6])
        due = sum(_job(job).get("queue") == self.queue for jobs in answers.first[6:8] for job in jobs)
        running = sum(self._busy(process, answers.now) for process in answers.further)
        since = _job(answers.first[8]).get("enqueued_at")
        return Measurement(
            ready + due,
            running,
            future=sum(of_sets[:2]) - sum(of_sets[2:]),
            oldest_age_s=_age(since, answers.now),
            age_s=BEAT_S if running else 0.0,
        )

    def _busy(self, process: list[Any], now: float) -> int:
        """Returns the jobs in work at a process that works on this queue; 0 if it is gone."""
        busy, beat, info = process
        try:
            alive = now - float(beat) < GONE_S
            return int(busy) if alive and self.queue in json.loads(info)["queues"] else 0
        except (ValueError, LookupError, TypeError, RecursionError):
            return 0  # its hash has expired

    def exists(self, first: list[Any]) -> bool:
        return bool(first[1] or first[0])

    def known_in(self) -> str:
        return f"{self.prefix}queues"


def _job(text: Any) -> Mapping[str, Any]:
    """Returns a job as Sidekiq describes it; empty for anything else."""
    try:
        job = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return job if isinstance(job, dict) else {}


def _age(since: Any, now: float) -> float | None:
    """Returns the age of a job in seconds; None if it is not known."""
    if isinstance(since, bool) or not isinstance(since, (int, float)):
        return None
    # Sidekiq 8 has whole milliseconds where earlier versions have seconds.
    return max(0.0, now - (since / 1000 if isinstance(since, int) else since))


TYPE = SidekiqMetric
