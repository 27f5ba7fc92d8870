"""The consumers of a queue of RabbitMQ, by its management: they have addresses, and no host names."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.metric.base import Metric
from microscaling.metric.consumers.base import DEADLINE_S, Consumer, Consumers, MetricError
from microscaling.metric.rabbitmq import RabbitMQMetric
from microscaling.secrets.masking import secrets_of_url
from microscaling.utils.text import short

MAX_BYTES = 2**23
CHANNELS = "channels?columns=name,vhost,messages_unacknowledged,connection_details.peer_host"
OF_CELERY = ".celery.pidbox"
"""The end of the name of a queue that each worker of Celery has, beside that of its tasks."""


class RabbitMQConsumers(Consumers):
    """A consumer is busy while any channel from its address has a message that is not acknowledged."""

    by_address = True
    delay_s = 6.0
    """RabbitMQ writes these numbers every 5 s."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        assert isinstance(metric, RabbitMQMetric)
        self.url, self.vhost, self.queue = metric.url, metric.vhost, metric.queue
        self.name = f"RabbitMQ at {public_url(self.url)}"
        self._client = Client(DEADLINE_S, MAX_BYTES, secrets_of_url(self.url))

    def fetch(self) -> Sequence[Consumer]:
        until = time.monotonic() + DEADLINE_S
        try:
            consumers = self._consumers(until)
            mine = list(self._of_queue(consumers))
            self._check_celery(consumers, {_address(one) for one in mine})
            channels = self._ask(CHANNELS, until)
            ours = {_address(one) for one in self._shown(mine, channels, until)}
            there = [one for one in channels if one["connection_details"]]
            busy = {peer(one["connection_details"]) for one in there if self._has_message(one)}
            return [Consumer("", address in busy, address) for address in sorted(ours)]
        except FetchError as error:
            raise MetricError(str(error)) from None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise MetricError(
                f"{self.name}: not an answer of RabbitMQ's management ({error!r:.60})"
            ) from None

    def close(self) -> None:
        self._client.close()

    def _ask(self, path: str, until: float) -> list[Mapping[str, Any]]:
        self._client.deadline_s = max(0.01, until - time.monotonic())
        answer = json.loads(self._client.fetch(f"{self.url.rstrip('/')}/api/{path}"))
        if not isinstance(answer, list):
            raise ValueError("it is no list")
        return answer

    def _consumers(self, until: float) -> list[Mapping[str, Any]]:
        # Of a channel that has just gone RabbitMQ says [].
        asked = self._ask(f"consumers/{quote(self.vhost, safe='')}", until)
        return [one for one in asked if one["channel_details"]]

    def _of_queue(self, consumers: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for one in consumers:
            if one["queue"]["name"] == self.queue:
                # To RabbitMQ its job is over before it has begun.
                if one["ack_required"] is False:
                    raise MetricError(
                        f"{self.name}: a consumer of {short(self.queue)} does not acknowledge its messages, "
                        "so it looks idle while it works"
                    )
                yield one

    def _check_celery(self, consumers: Sequence[Mapping[str, Any]], ours: set[str]) -> None:
        workers = {_address(one) for one in consumers if str(one["queue"]["name"]).endswith(OF_CELERY)}
        if workers & ours:
            raise MetricError(
                f"{self.name}: the consumers of {short(self.queue)} are Celery's, which acknowledge a task "
                "before they work on it, so they look idle: use busyFile or busyProbe"
            )

    def _shown(
        self, mine: Sequence[Mapping[str, Any]], channels: Sequence[Mapping[str, Any]], until: float
    ) -> list[Mapping[str, Any]]:
        """Returns the consumers whose channels are shown. Raises MetricError if one is hidden."""
        names = {channel["name"] for channel in channels}
        missing = {_channel(one) for one in mine} - names
        # A consumer may have ended between the two requests: then it is in the list no more.
        if missing and missing & {_channel(one) for one in self._of_queue(self._consumers(until))}:
            # RabbitMQ leaves out what a user may not see, and then all would look idle.
            raise MetricError(
                f"{self.name}: it does not show the channel of a consumer of {short(self.queue)}: the user "
                "in the URL needs the tag monitoring"
            )
        return [one for one in mine if _channel(one) in names]

    def _has_message(self, channel: Mapping[str, Any]) -> bool:
        # A channel that is younger than the last numbers has none yet: it may have a job.
        return bool(channel["vhost"] == self.vhost and channel.get("messages_unacknowledged", 1) != 0)


def _address(consumer: Mapping[str, Any]) -> str:
    return peer(consumer["channel_details"])


def _channel(consumer: Mapping[str, Any]) -> str:
    return str(consumer["channel_details"]["name"])


def peer(details: Mapping[str, Any]) -> str:
    """Returns the address of the other side of a connection."""
    return str(details["peer_host"]).removeprefix("::ffff:")
