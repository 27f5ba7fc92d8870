"""The consumers of a channel of NSQ: the clients in the statistics of each nsqd (/stats, since nsqd 0.3)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.metric.base import Metric
from microscaling.metric.consumers.base import DEADLINE_S, Consumer, Consumers, MetricError
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.nsq_cluster import Lookup
from microscaling.metric.nsq_stats import MAX_BYTES, base_of
from microscaling.metric.several_urls import secrets_of_urls, split

HELD_S = 600.0
"""For so long after a message has timed out, nobody knows which client still works on it."""


class NSQConsumers(Consumers):
    """The clients of one channel, on all nsqd that have it; one with a message in flight is busy.

    A message that takes longer than its timeout goes to another client, while the first one still works and
    looks idle: then the list is unknown for a while.
    """

    delay_s = 0.05

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        assert isinstance(metric, NSQMetric)
        self.metric = metric
        endpoints = split(metric.lookup or metric.endpoint)
        self._secrets = secrets_of_urls(",".join(map(base_of, endpoints)))
        self._lookup = Lookup(endpoints, self._secrets) if metric.lookup else None
        self._endpoints = [] if metric.lookup else endpoints
        self._client = Client(DEADLINE_S, MAX_BYTES, self._secrets)
        self.name = f"NSQ at {', '.join(public_url(base_of(one)) for one in endpoints)}"

    def fetch(self) -> Sequence[Consumer]:
        until = time.monotonic() + DEADLINE_S
        # The metric is measured at each beat, so it sees a timeout long before a container is to go.
        late = self.metric.timed_out_at
        if late is not None and time.monotonic() - late < HELD_S:
            raise MetricError(
                f"{self.name}: a message of {self.metric.channel_name} has timed out, and the client that "
                "still works on it looks idle; a longer -msg-timeout, or a TOUCH, keeps it in flight"
            )
        endpoints = self._endpoints
        if self._lookup is not None:
            endpoints = self._lookup.nsqd_with({self.metric.topic_name}, until)
        found: list[Consumer] = []
        for endpoint in endpoints:
            # All of them within one deadline, as a part of the list would show some as missing.
            self._client.deadline_s = max(0.01, until - time.monotonic())
            found += self._of(base_of(endpoint).rstrip("/"))
        return found

    def close(self) -> None:
        self._client.close()
        if self._lookup is not None:
            self._lookup.close()

    def _of(self, base: str) -> list[Consumer]:
        topic, channel = self.metric.topic_name, self.metric.channel_name
        asked = {"format": "json", "include_clients": "true", "include_mem": "false", "topic": topic}
        # The parameters spare nsqd the statistics of all other channels.
        url = f"{base}/stats?{urlencode({**asked, 'channel': channel})}"
        try:
            return [_consumer(client) for client in _clients(self._client.fetch(url), topic, channel)]
        except FetchError as error:
            raise MetricError(str(error)) from None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise MetricError(f"{public_url(base)}: not nsqd's statistics ({error!r:.60})") from None


def _clients(body: bytes, topic: str, channel: str) -> Iterator[dict[str, Any]]:
    answer = json.loads(body)
    for of_topic in (answer if "topics" in answer else answer["data"])["topics"] or ():
        for of_channel in of_topic["channels"] or ():
            # Versions that ignore the parameters list all channels.
            if (of_topic["topic_name"], of_channel["channel_name"]) == (topic, channel):
                yield from of_channel.get("clients") or ()


def _consumer(client: dict[str, Any]) -> Consumer:
    return Consumer(str(client.get("hostname") or ""), int(client["in_flight_count"]) > 0)
