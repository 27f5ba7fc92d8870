"""The metric of a queue of Huey in Redis."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

from microscaling.errors import ConfigError
from microscaling.metric.base import Measurement
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

PREFIX = "huey.redis."
UTC = "UTC"


def check_zone(value: str) -> None:
    """Raises ConfigError for anything but a time zone that this machine knows."""
    try:
        ZoneInfo(value)
    except (OSError, ValueError, LookupError):
        raise ConfigError("expected a time zone that this machine knows, as Europe/Berlin") from None


class HueyMetric(JobsMetric):
    """The tasks of a queue of Huey (items).

    Running ones are in no key. Tasks for later are among the waiting ones until a consumer has read them.
    """

    type_name, summary = "Huey", "the tasks of a queue of Huey in Redis (Python)"
    fields = (
        URL,
        Field("queueName", "Instance", required=True, hint="the name of the Huey instance"),
        Field("timeZone", "Time zone", default=UTC, check=check_zone, hint="of the consumers' clock"),
    )
    may_be_missing = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> HueyMetric:
        return cls(values["url"], values["queueName"], values["timeZone"])

    def __init__(self, url: str, queue: str, zone: str = UTC) -> None:
        name = re.sub("[^A-Za-z0-9_]", "", queue)  # as Huey does
        self.ready, self.later = PREFIX + name, f"huey.schedule.{name}"
        self.zone = ZoneInfo(zone)
        super().__init__(url, queue, zone)

    def commands(self, now: float) -> list[Command]:
        # The kind of the key is not known before, and a command for another kind fails the transaction.
        return [("TYPE", self.ready), ("EXISTS", self.later)]

    def further(self, first: list[Any]) -> list[Command]:
        return [
            # PriorityRedisHuey has a sorted set.
            ("ZCARD" if first[0] == b"zset" else "LLEN", self.ready),
            ("ZCARD", self.later),
            ("ZCOUNT", self.later, "-inf", f"{self._score(time.time()):.6f}"),
        ]

    def _score(self, now: float) -> float:
        """Returns the score of a task that is due now. Huey's is its time in UTC, taken for local time."""
        return datetime.fromtimestamp(now, timezone.utc).replace(tzinfo=self.zone).timestamp()

    def measurement(self, answers: Answers) -> Measurement:
        # The tasks in the queue are pickled: code of others, so none is looked at for its time.
        ready, later, due = map(count, answers.further)
        return Measurement(ready + due, None, future=later - due)

    def exists(self, first: list[Any]) -> bool:
        return first[0] != b"none" or bool(first[1])

    def known_in(self) -> str:
        return f"{PREFIX}*"

    def name_in(self, entry: str) -> str:
        return entry.removeprefix(PREFIX)


TYPE = HueyMetric
