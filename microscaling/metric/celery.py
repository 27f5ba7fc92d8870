"""The metric of a queue of Celery, with Redis or RabbitMQ as its broker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from microscaling.errors import ConfigError
from microscaling.metric.base import Measurement, Metric
from microscaling.metric.missing import EMPTY
from microscaling.metric.rabbitmq import RabbitMQMetric
from microscaling.metric.rabbitmq import check_url as check_management
from microscaling.metric.redis_connection import check_url
from microscaling.metric.redis_jobs import LOOK_AT, LOOK_AT_ETA, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings

SEPARATOR = "\x06\x16"
"""Between the name of a queue and a priority, in kombu."""
STEPS = "0,3,6,9"
VISIBLE_S = 3600.0
"""kombu's default of visibility_timeout."""
BINDING = "_kombu.binding."


def check_steps(value: str) -> None:
    """Raises ConfigError for anything but whole numbers with commas between."""
    steps_of(value)


def steps_of(value: str) -> list[int]:
    """Returns the priority steps in a text such as "0,3,6,9". Raises ConfigError."""
    steps = [step.strip() for step in value.split(",")]
    if not all(step.isdecimal() and len(step) < 5 for step in steps):
        raise ConfigError(f"expected whole numbers, as {STEPS}")
    return sorted({int(step) for step in steps})


def check_either(url: str) -> None:
    """Raises ConfigError for anything but the URL of a Redis, or of RabbitMQ's management."""
    if of_rabbitmq(url):
        check_management(url)
    else:
        check_url(url)


def of_rabbitmq(url: str) -> bool:
    """Returns whether a URL is that of RabbitMQ's management."""
    return url.lower().startswith(("http://", "https://"))


class CeleryOnRabbitMQ(RabbitMQMetric):
    """The tasks of a queue of Celery in RabbitMQ (items): one queue for all priorities, in which those that a
    worker has fetched, for now or for later, are unacknowledged."""

    type_name = "Celery"
    missing = EMPTY  # Celery makes a queue when it is first used


class CeleryMetric(JobsMetric):
    """The tasks that wait in the lists of a queue, one for each priority step (items).

    Running ones are not known: with early acknowledgement, the default, they are in no key. Tasks for later
    are in the same lists until a worker has taken them, so short lists are looked at for their ETA.
    """

    type_name, summary = "Celery", "the tasks of a queue of Celery, with Redis or RabbitMQ as its broker"
    fields = (
        Field(
            "url",
            "URL",
            kind="url",
            required=True,
            secret=True,
            wide=True,
            check=check_either,
            hint="redis://host:6379/0, or of RabbitMQ's management: http://user:password@rabbitmq:15672",
        ),
        Field("queueName", "Queue", default="celery"),
        Field("keyPrefix", "Prefix of keys", hint="global_keyprefix of the broker's transport options"),
        Field("prioritySteps", "Priority steps", default=STEPS, check=check_steps, hint="as in Celery"),
        Field("separator", "Separator", hint="sep of the transport options; empty: its default"),
        LOOK_AT_ETA,
        Field(
            "visibilityTimeoutSeconds",
            "Visibility time-out",
            kind="number",
            default=VISIBLE_S,
            hint="visibility_timeout of the transport options: a task that was taken longer ago is stuck",
        ),
        Field("virtualHost", "Virtual host", default="/", hint="of RabbitMQ; what stands above is for Redis"),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> Metric:
        if of_rabbitmq(values["url"]):
            return CeleryOnRabbitMQ(values["url"], values["queueName"], values["virtualHost"])
        return cls(
            values["url"],
            values["queueName"],
            values["keyPrefix"],
            values["prioritySteps"],
            values["separator"],
            values["lookAtEta"],
            values["visibilityTimeoutSeconds"],
        )

    def __init__(
        self,
        url: str,
        queue: str = "celery",
        prefix: str = "",
        steps: str = STEPS,
        separator: str = "",
        look_at: int = LOOK_AT,
        visible_s: float = VISIBLE_S,
    ) -> None:
        separator = separator or SEPARATOR
        names = [f"{queue}{separator}{step}" if step else queue for step in steps_of(steps)]
        self.lists = [prefix + name for name in names]
        self.prefix = prefix
        self.look_at = look_at
        self.visible_s = visible_s
        super().__init__(url, queue, *self.lists, look_at, visible_s)

    def commands(self, now: float) -> list[Command]:
        return [
            *(("LLEN", name) for name in self.lists),
            ("ZCOUNT", f"{self.prefix}unacked_index", "-inf", f"{now - self.visible_s:.3f}"),
            ("EXISTS", f"{self.prefix}{BINDING}{self.queue}"),
        ]

    def further(self, first: list[Any]) -> list[Command]:
        lengths = first[: len(self.lists)]
        if not 0 < sum(map(count, lengths)) <= self.look_at:
            return []
        return [("LRANGE", name, "0", "-1") for name, n in zip(self.lists, lengths, strict=True) if n]

    def measurement(self, answers: Answers) -> Measurement:
        *lengths, stuck, _ = map(count, answers.first)
        now = datetime.fromtimestamp(answers.now, timezone.utc)
        looked_at = [message for messages in answers.further for message in messages]
        future = sum(_is_later(message, now) for message in looked_at)
        # A worker may have taken some, and others been added, between the two questions.
        waiting = len(looked_at) - future if answers.further else sum(lengths)
        return Measurement(waiting, None, stuck, future)

    def exists(self, first: list[Any]) -> bool:
        *lengths, _, bound = first
        return bool(bound) or any(lengths)

    def known_in(self) -> str:
        return f"{self.prefix}{BINDING}*"

    def name_in(self, entry: str) -> str:
        name = entry.removeprefix(f"{self.prefix}{BINDING}")
        return "" if name.endswith(".pidbox") or name in ("celeryev", "reply.celery.pidbox") else name


def _is_later(message: bytes, now: datetime) -> bool:
    """Returns whether a message of kombu is a task with a time that has not come yet."""
    try:
        eta = json.loads(message)["headers"].get("eta")
        when = datetime.fromisoformat(eta.replace("Z", "+00:00")) if eta else now
        # An ETA without a zone is in UTC, unless enable_utc is off.
        return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)) > now
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False  # of another program: it waits, as far as anyone can know


TYPE = CeleryMetric
