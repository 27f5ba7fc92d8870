"""The metric of a queue of RabbitMQ, by its management API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement, Metric, Source, whole_number
from microscaling.metric.missing import HELD, Absent, Hint
from microscaling.metric.pace import RABBITMQ_S
from microscaling.plugins import Field
from microscaling.secrets.masking import secrets_of_url
from microscaling.settings import Settings
from microscaling.utils import urls
from microscaling.utils.text import short

DEADLINE_S = 2.0
MAX_BYTES = 2**20
FORM = "the URL of RabbitMQ's management, such as http://user:password@rabbitmq:15672"
MOST_NAMED = 100
"""Queues that are listed for the hint that a queue does not exist."""


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    urls.check_url(url, ("http", "https"), FORM)
    if "?" in url or "#" in url:
        raise ConfigError(f"expected {FORM}")


class RabbitMQSource(Source):
    """One queue of a virtual host, found by its exact name."""

    def __init__(self, url: str, vhost: str, queue: str, deadline_s: float = DEADLINE_S) -> None:
        self.key = ("rabbitmq", url, vhost, queue)
        self.name = f"RabbitMQ at {public_url(url)}"
        self.secrets = secrets_of_url(url)
        self._url = f"{url.rstrip('/')}/api/queues/{quote(vhost, safe='')}"
        self._queue = queue
        self._client = Client(deadline_s, MAX_BYTES, self.secrets)
        self._hint = Hint(f"{self.name}: the queue", queue)

    def fetch(self) -> Mapping[str, Any] | Absent:
        """Returns the queue as RabbitMQ describes it, or Absent."""
        # In the form of a list with these two words it counts classic queues now, and not every 5 s.
        found = self._queues(name=f"^{re.escape(self._queue)}$", use_regex="true", page_size="1")
        if self._hint.is_due(bool(found)):
            self._look_for_others()
        if not found:
            return Absent(f"{self.name}: there is no queue {short(self._queue)}")
        # Quorum queues are counted every 5 s only, however often one asks.
        self.cheap = found[0].get("type") == "classic"
        return found[0]

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._client.deadline_s = seconds

    def close(self) -> None:
        self._client.close()

    def _queues(self, **query: str) -> list[Mapping[str, Any]]:
        words = {"page": "1", "disable_stats": "true", "enable_queue_totals": "true", **query}
        try:
            answer = json.loads(self._client.fetch(f"{self._url}?{urlencode(words)}"))
            queues = [queue for queue in answer["items"] if queue["name"] is not None]
        except FetchError as error:
            raise MetricError(str(error)) from None
        except (ValueError, LookupError, TypeError, RecursionError):
            raise MetricError(f"{self.name}: not an answer of RabbitMQ's management") from None
        return queues

    def _look_for_others(self) -> None:
        try:
            queues = self._queues(page_size=str(MOST_NAMED))
        except MetricError:
            return  # only the hint fails
        self._hint.give_all({str(queue["name"]) for queue in queues})


class RabbitMQMetric(Metric):
    """The messages of a queue (items): ready ones wait, unacknowledged ones run. Raises ConfigError."""

    type_name, summary = "RabbitMQ", "the messages of a queue of RabbitMQ, classic or quorum"
    fields = (
        Field(
            "url",
            "URL of the management",
            kind="url",
            required=True,
            secret=True,
            wide=True,
            check=check_url,
            hint="http://user:password@rabbitmq:15672",
        ),
        Field("queueName", "Queue", required=True),
        Field("virtualHost", "Virtual host", default="/"),
    )
    may_be_missing = True
    missing = HELD  # a queue is declared before it is used, so its name may be wrong

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> RabbitMQMetric:
        return cls(values["url"], values["queueName"], values["virtualHost"])

    def __init__(self, url: str, queue: str, vhost: str = "/") -> None:
        check_url(url)
        self.url, self.vhost, self.queue = url, vhost, queue
        self._what = f"queue {short(queue)} of RabbitMQ"
        self.source = RabbitMQSource(url, vhost, queue)

    def read(self, answer: Mapping[str, Any] | Absent) -> int | Measurement:
        if isinstance(answer, Absent):
            return self.absent(answer.reason)
        kind = answer.get("type")
        if kind == "stream":
            raise MetricError(
                f"{self._what} is a stream, of which RabbitMQ does not tell the backlog: it depends on the "
                "offset of each consumer"
            )
        self.pace_s = RABBITMQ_S if kind == "quorum" else 0.0
        ready, taken = (
            whole_number(answer.get(name), f"{self._what}: {name}")
            for name in ("messages_ready", "messages_unacknowledged")
        )
        return Measurement(ready, taken, age_s=self.pace_s)

    def glance(self, answer: Mapping[str, Any] | Absent) -> int | Measurement | None:
        return None if isinstance(answer, Absent) else self.read(answer)


TYPE = RabbitMQMetric
