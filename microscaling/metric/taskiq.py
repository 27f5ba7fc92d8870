"""The metric of a queue of Taskiq in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.base import Measurement
from microscaling.metric.redis_groups import group_named
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.metric.redis_stream import RedisStreamMetric
from microscaling.plugins import Field
from microscaling.settings import Settings

NAME = "taskiq"
LIST, STREAM = "list", "stream"


class TaskiqMetric(JobsMetric):
    """The tasks of a queue of Taskiq (items).

    In a list running ones are in no key. In a stream a worker takes up to a hundred at once, which all count
    as running; those of a worker that is gone do so until a live one claims them.
    """

    type_name, summary = "Taskiq", "the tasks of a queue of Taskiq, a list or a stream in Redis (Python)"
    fields = (
        URL,
        Field("queueName", "Queue", default=NAME),
        Field("kind", "Kind", kind="choice", default=LIST, choices=(LIST, STREAM), hint="by its broker"),
        Field("group", "Group", default=NAME, hint="consumer_group_name of RedisStreamBroker"),
    )
    may_be_missing = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> TaskiqMetric:
        return cls(values["url"], values["queueName"], values["kind"], values["group"])

    def __init__(self, url: str, queue: str = NAME, kind: str = LIST, group: str = NAME) -> None:
        # A task may run for longer than its stream lets it pend, so time alone makes none stuck.
        self.stream = RedisStreamMetric(url, queue, group, claim_after_s=0) if kind == STREAM else None
        super().__init__(url, queue, kind, group)

    def commands(self, now: float) -> list[Command]:
        if self.stream is None:
            return [("LLEN", self.queue)]
        return [*self.stream.commands(now), ("XLEN", self.queue)]

    def further(self, first: list[Any]) -> list[Command]:
        return self.stream.further(first) if self.stream is not None else []

    def measurement(self, answers: Answers) -> int | Measurement:
        length = count(answers.first[-1])
        if self.stream is None:
            return Measurement(length, None)
        if group_named(self.stream.group, answers.first[1]) is None:
            return Measurement(length, 0)  # the first worker makes it
        return self.stream.measurement(answers)

    def exists(self, first: list[Any]) -> bool:
        return any(first)

    def known_in(self) -> str:
        return f"{NAME}*"


TYPE = TaskiqMetric
