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
            found = self._ask(f"consumers/{quote(self.vhost, safe='')}", until)
            # Of a channel that has just gone RabbitMQ says [].
            consumers = [one for one in found if one["channel_details"]]
            mine = list(self._of_queue(consumers))
            ours = {_address(one) for one in mine}
            self._check_celery(consumers, ours)
            channels = self._ask(CHANNELS, until)
            self._check_shown(mine, channels)
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

    def _check_shown(
        self, consumers: Sequence[Mapping[str, Any]], channels: Sequence[Mapping[str, Any]]
    ) -> None:
        # RabbitMQ leaves out what a user may not see, and then all would look idle.
        names = {channel["name"] for channel in channels}
        if any(one["channel_details"]["name"] not in names for one in consumers):
            raise MetricError(
                f"{self.name}: it does not show the channel of a consumer of {short(self.queue)}: the user "
                "in the URL needs the tag monitoring"
            )

    def _has_message(self, channel: Mapping[str, Any]) -> bool:
        # A channel that is younger than the last numbers has none yet: it may have a job.
        return bool(channel["vhost"] == self.vhost and channel.get("messages_unacknowledged", 1) != 0)


def _address(consumer: Mapping[str, Any]) -> str:
    return peer(consumer["channel_details"])


def peer(details: Mapping[str, Any]) -> str:
    """Returns the address of the other side of a connection."""
    return str(details["peer_host"]).removeprefix("::ffff:")
