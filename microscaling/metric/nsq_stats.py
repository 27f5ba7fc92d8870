"""One nsqd as a source: its statistics, and the numbers in them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from microscaling.clients.http.client import Client, FetchError, public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Source
from microscaling.metric.missing import Hint, alike
from microscaling.secrets.masking import secrets_of_url
from microscaling.utils.urls import check_url

DEADLINE_S = 1.0
MAX_BYTES = 16 * 2**20
FORM = "host:port of nsqd's HTTP interface, or a URL such as https://host:4152"


@dataclass(slots=True)
class Depths:
    """The waiting messages in one nsqd (items), as it reported them: the values are not validated yet."""

    topics: dict[str, object] = field(default_factory=dict)
    channels: dict[tuple[str, str], object] = field(default_factory=dict)
    in_flight: dict[tuple[str, str], object] = field(default_factory=dict)
    """Messages that the consumers of each channel have taken and not yet finished."""
    deferred: dict[tuple[str, str], object] = field(default_factory=dict)
    """Messages of each channel that are published, or given back, for later."""
    timeouts: dict[tuple[str, str], object] = field(default_factory=dict)
    """Messages of each channel that a consumer has not finished in time, since the start of nsqd."""
    arrived: dict[tuple[str, str], object] = field(default_factory=dict)
    """Messages that each channel has got, those for later included, since the start of nsqd."""
    server: str = ""
    """The nsqd."""
    paused: set[str] = field(default_factory=set)
    """Topics that pass nothing on to their channels."""
    paused_channels: set[tuple[str, str]] = field(default_factory=set)
    """Channels that pass nothing on to their consumers."""

    def channels_of(self, topic: str) -> list[str]:
        """Returns the names of a topic's channels."""
        return [channel for owner, channel in self.channels if owner == topic]


class NSQSource(Source):
    """One nsqd: `GET /stats?format=json`, for nsqd before and since 1.0.

    The request names a topic, or a topic and a channel, if all tasks share that one; old versions of nsqd
    ignore parameters that they do not know.
    """

    cheap = True

    def __init__(
        self,
        endpoint: str,
        deadline_s: float = DEADLINE_S,
        queues: Iterable[tuple[str, str]] = (),
        hints: bool = True,
    ) -> None:
        base = base_of(endpoint)
        self.url = f"{base.rstrip('/')}/stats?format=json"
        self.key = ("nsq", self.url)
        self.name = f"NSQ at {public_url(base)}"
        self.secrets = secrets_of_url(base)
        self.queues: dict[tuple[str, str], tuple[Hint, Hint]] = {}
        self._base = base
        self._deadline_s = deadline_s
        self._client = Client(deadline_s, MAX_BYTES)
        self._by_channel = True
        self._hints = hints
        self._questions = "", ""
        """The URLs that ask for a topic, and for a channel if all tasks share one."""
        self._last = "", b"", Depths()
        """The last question, the body of its answer, and what it says."""
        self._settled: Depths | None = None
        """The last answer, if it needs no second look."""
        self.ask_for(queues)

    def check(self) -> None:
        try:
            check_url(self._base, ("http", "https"), FORM)
            if "?" in self._base:
                raise ConfigError(f"expected {FORM}")
        except ConfigError as error:
            raise ConfigError(f"NSQ_STATS_ENDPOINT: {error}") from None

    def also(self, other: Source) -> None:
        if isinstance(other, NSQSource):
            self.ask_for(other.queues)

    def fetch(self) -> Depths:
        until = time.monotonic() + self._deadline_s
        self._client.deadline_s = self._deadline_s
        settled, self._settled = self._settled, None
        depths = self._ask(self._questions[self._by_channel])
        if depths is settled:
            self._settled = settled
            return depths
        # A second request, if any, has to end by the same deadline.
        self._client.deadline_s = max(0.01, round(until - time.monotonic(), 2))
        if self._by_channel and self._channel() and not depths.channels:
            # For a missing channel nsqd reports nothing of the topic either.
            self._by_channel = False
            depths = self._ask(self._questions[False])
        elif not self._by_channel and self._channel() in depths.channels_of(self._topic()):
            self._by_channel = True
        if self._hints:
            self._look_for_others(depths)
        # Of what is missing the hint may be due later, and for this the channel may come.
        complete = all(queue in depths.channels for queue in self.queues)
        self._settled = depths if complete and self._by_channel else None
        return depths

    def unchanged(self) -> bool:
        return self._settled is not None and self._client.same(self._deadline_s)

    def close(self) -> None:
        self._client.close()

    def ask_for(self, queues: Iterable[tuple[str, str]]) -> None:
        """Adds topics with their channels to those that are asked for."""
        if queues and all(queue in self.queues for queue in queues):
            return
        new = {
            (topic, channel): (
                Hint(f"{self.name}: the topic", topic),
                Hint(f"{self.name}: the channel", channel),
            )
            for topic, channel in queues
        }
        self.queues = {**new, **self.queues}  # a new one, as `fetch` may be under way
        self._questions = self._question(self._topic()), self._question(self._topic(), self._channel())
        self._settled = None

    def _topic(self) -> str:
        """Returns the topic that all tasks share; empty if there are several."""
        topics = {topic for topic, _ in self.queues}
        return topics.pop() if len(topics) == 1 else ""

    def _channel(self) -> str:
        return next(iter(self.queues))[1] if len(self.queues) == 1 and self._topic() else ""

    def _question(self, topic: str = "", channel: str = "") -> str:
        asked = {"include_clients": "false", "include_mem": "false", "topic": topic, "channel": channel}
        return f"{self.url}&{urlencode({name: value for name, value in asked.items() if value})}"

    def _ask(self, question: str) -> Depths:
        last, last_body, depths = self._last
        try:
            body = self._client.fetch(question)
            # A queue at rest has the same answer, many times a second.
            if question == last and body == last_body:
                return depths
            depths = parse_stats(body)
        except FetchError as error:
            raise MetricError(str(error)) from None
        except MetricError as error:
            raise MetricError(f"{public_url(self.url)}: {error}") from None
        depths.server = self.url
        self._last = question, body, depths
        return depths

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def limit_to(self, seconds: float) -> None:
        """Sets the deadline of the next `fetch` only."""
        self._deadline_s = seconds

    def _look_for_others(self, depths: Depths) -> None:
        """Looks, once for each missing topic or channel, for one with a similar name."""
        for (topic, channel), (topic_hint, channel_hint) in self.queues.items():
            if topic not in depths.topics:
                if topic_hint.is_due(False) and (everything := self.everything()):
                    topic_hint.give(alike(topic, everything.topics))
                continue
            topic_hint.is_due(True)
            if channel_hint.is_due((topic, channel) in depths.channels):
                channel_hint.give(alike(channel, depths.channels_of(topic)))

    def everything(self) -> Depths | None:
        """Returns all topics and channels of the nsqd; None if it does not answer."""
        try:
            return self._ask(self._question())
        except MetricError:
            return None  # only the hint fails: the measurement itself has been answered


def base_of(endpoint: str) -> str:
    """Returns an endpoint as a URL."""
    return endpoint if "://" in endpoint else f"http://{endpoint}"


def parse_stats(body: bytes) -> Depths:
    """Returns all depths in nsqd's answer. Raises MetricError for an answer of another form."""
    try:
        answer = json.loads(body)
        if "topics" not in answer:  # nsqd before 1.0
            answer = _unwrapped(answer)
        depths = Depths()
        for topic in _list(answer["topics"]):
            name = topic["topic_name"]
            depths.topics[name] = topic.get("depth")
            if topic.get("paused") is True:
                depths.paused.add(name)
            for channel in _list(topic.get("channels")):
                depths.channels[name, channel["channel_name"]] = channel.get("depth")
                depths.in_flight[name, channel["channel_name"]] = channel.get("in_flight_count")
                depths.timeouts[name, channel["channel_name"]] = channel.get("timeout_count")
                depths.deferred[name, channel["channel_name"]] = channel.get("deferred_count")
                depths.arrived[name, channel["channel_name"]] = channel.get("message_count")
                if channel.get("paused") is True:
                    depths.paused_channels.add((name, channel["channel_name"]))
        return depths
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise MetricError(f"the answer is not nsqd's statistics ({what:.80})") from None


def _list(value: object) -> list[dict[str, Any]]:
    """Returns a list as Go encodes it: null if it is empty."""
    if value is not None and not isinstance(value, list):
        raise TypeError("expected a list")
    return value or []


def _unwrapped(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["status_code"] != 200:
        raise MetricError(f"nsqd answers with status {answer['status_code']!r:.40}")
    data: dict[str, Any] = answer["data"]
    return data
