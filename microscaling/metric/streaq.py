"""The metric of a queue of Streaq."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.errors import ConfigError
from microscaling.metric.base import Measurement
from microscaling.metric.redis_groups import group_named
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

GROUP = "workers"
PRIORITIES = "normal"
PER_PRIORITY = 4
"""Commands."""


def check_names(value: str) -> None:
    """Raises ConfigError for anything but names with commas between."""
    names_in(value)


def names_in(value: str) -> list[str]:
    """Returns the names in a text such as "low,high". Raises ConfigError."""
    names = [name.strip() for name in value.split(",")]
    if not all(names):
        raise ConfigError("expected names with commas between")
    return list(dict.fromkeys(names))


class StreaqMetric(JobsMetric):
    """The tasks of a queue of Streaq (items).

    A worker takes twice as many as it runs. What a worker that is gone had taken counts as running until a
    live one claims it.
    """

    type_name, summary = "Streaq", "the tasks of a queue of Streaq (Python)"
    fields = (
        URL,
        Field("queueName", "Queue", default="default"),
        Field(
            "priorities", "Priorities", default=PRIORITIES, check=check_names, hint="of the Worker: low,high"
        ),
    )
    may_be_missing = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> StreaqMetric:
        return cls(values["url"], values["queueName"], values["priorities"])

    def __init__(self, url: str, queue: str = "default", priorities: str = PRIORITIES) -> None:
        self.priorities = names_in(priorities)
        super().__init__(url, queue, *self.priorities)

    def commands(self, now: float) -> list[Command]:
        asked: list[Command] = []
        for name in self.priorities:
            stream, later = f"streaq:{self.queue}:queues:{name}", f"streaq:{self.queue}:queues:delayed:{name}"
            asked += [
                ("XLEN", stream),  # those that are done are deleted
                ("XINFO", "GROUPS", stream),
                ("ZCARD", later),
                ("ZCOUNT", later, "-inf", int(now * 1000)),
            ]
        return asked

    def measurement(self, answers: Answers) -> Measurement:
        # Streaq's set of running tasks leaves out what a worker has taken beyond, and no other one can have.
        waiting = taken = future = 0
        for i in range(0, len(answers.first), PER_PRIORITY):
            length, groups, later, due = answers.first[i : i + PER_PRIORITY]
            group = group_named(GROUP, groups)  # None: no worker has been there yet
            pending = count(group.get(b"pending")) if group else 0
            waiting += max(0, count(length) - pending) + count(due)
            taken += pending
            future += count(later) - count(due)
        return Measurement(waiting, taken, future=future)

    def exists(self, first: list[Any]) -> bool:
        return any(first)

    def known_in(self) -> str:
        return "streaq:*:queues:*"

    def name_in(self, entry: str) -> str:
        return entry.removeprefix("streaq:").rpartition(":queues:")[0]


TYPE = StreaqMetric
