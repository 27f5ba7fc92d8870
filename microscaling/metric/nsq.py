"""The length of a queue in NSQ, as nsqd's own statistics give it."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from typing import Any

from microscaling.errors import MetricError
from microscaling.metric.base import Metric, Source, count_or_none, whole_number
from microscaling.utils.http import Client, FetchError, public_url
from microscaling.utils.masking import secrets_of_url

log = logging.getLogger("mssmetric")

DEFAULT_ENDPOINT = "127.0.0.1:4151"
DEADLINE_S = 1.0
MAX_BYTES = 16 * 2**20


@dataclass(slots=True)
class Depths:
    """What waits in one nsqd (items), as it said it: not yet checked to be numbers."""

    topics: dict[str, object] = field(default_factory=dict)
    channels: dict[tuple[str, str], object] = field(default_factory=dict)
    in_flight: dict[tuple[str, str], object] = field(default_factory=dict)
    """What consumers of each channel have taken and not yet finished."""


class NSQSource(Source):
    """One nsqd: `GET /stats?format=json`, of nsqd before 1.0 and since."""

    def __init__(self, endpoint: str, deadline_s: float = DEADLINE_S) -> None:
        base = endpoint if "://" in endpoint else f"http://{endpoint}"
        self.url = f"{base.rstrip('/')}/stats?format=json"
        self.key = ("nsq", self.url)
        self.name = f"NSQ at {public_url(base)}"
        self.secrets = secrets_of_url(base)
        self._client = Client(deadline_s, MAX_BYTES)

    def fetch(self) -> Depths:
        try:
            body = self._client.fetch(self.url)
            return parse_stats(body)
        except FetchError as error:
            raise MetricError(str(error)) from None
        except MetricError as error:
            raise MetricError(f"{public_url(self.url)}: {error}") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._client.deadline_s = seconds

    def close(self) -> None:
        self._client.close()


def parse_stats(body: bytes) -> Depths:
    """All depths in nsqd's answer. Raises MetricError if it is not of that form."""
    try:
        answer = json.loads(body)
        if "topics" not in answer:  # nsqd before 1.0
            answer = _unwrapped(answer)
        depths = Depths()
        for topic in _list(answer["topics"]):
            name = topic["topic_name"]
            depths.topics[name] = topic.get("depth")
            for channel in _list(topic.get("channels")):
                depths.channels[name, channel["channel_name"]] = channel.get("depth")
                depths.in_flight[name, channel["channel_name"]] = channel.get("in_flight_count")
        return depths
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise MetricError(f"the answer is not nsqd's statistics ({what:.80})") from None


def _list(value: object) -> list[dict[str, Any]]:
    """A list as Go writes it: null for one that is empty."""
    if value is not None and not isinstance(value, list):
        raise TypeError("expected a list")
    return value or []


def _unwrapped(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["status_code"] != 200:
        raise MetricError(f"nsqd says status {answer['status_code']!r:.40}")
    data: dict[str, Any] = answer["data"]
    return data


class NSQMetric(Metric):
    """The depth of a channel of a topic (items); that of the topic while the channel is missing.

    Messages of a topic wait in it until there is a channel. A topic that does not exist keeps the
    value as it was: nsqd makes topics when they are first used. `endpoint` None: what
    NSQ_STATS_ENDPOINT says now.
    """

    def __init__(self, topic_name: str, channel_name: str, endpoint: str | None = None) -> None:
        self.topic_name = topic_name
        self.channel_name = channel_name
        endpoint = endpoint or os.environ.get("NSQ_STATS_ENDPOINT") or DEFAULT_ENDPOINT
        self.source = NSQSource(endpoint)
        self._missing = False

    def read(self, answer: Depths) -> int:
        topic, channel = self.topic_name, self.channel_name
        self.in_flight = count_or_none(answer.in_flight.get((topic, channel)))
        found = topic in answer.topics
        if found is self._missing:
            self._say(found)
        if not found:
            return self.current
        depth = answer.channels.get((topic, channel), answer.topics[topic])
        return whole_number(depth, f"depth of {topic}/{channel}")

    def _say(self, found: bool) -> None:
        """Says once that the topic is missing, and once that it has come."""
        self._missing = not found
        if found:
            log.info("NSQ topic %s exists now", self.topic_name)
        else:
            log.warning("NSQ topic %s does not exist: counts as %d for now", self.topic_name, self.current)
