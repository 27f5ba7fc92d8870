"""The metric of a queue's length in NSQ, from the statistics of nsqd."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from microscaling.errors import ConfigError
from microscaling.metric.base import Measurement, Metric, Source, count_or_none, whole_number
from microscaling.metric.counter import Counter
from microscaling.metric.missing import HELD
from microscaling.metric.nsq_cluster import NSQClusterSource, check_endpoints
from microscaling.metric.nsq_stats import Depths, NSQSource
from microscaling.metric.total import added_up
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import short

log = logging.getLogger("mssmetric")

DEFAULT_ENDPOINT = "127.0.0.1:4151"


class NSQMetric(Metric):
    """The depth of a channel of a topic (items), or the topic's depth while the channel does not exist.

    A topic that does not exist counts as empty: nsqd creates topics when they are first used, and removes
    ephemeral ones. `endpoint` None: the value of NSQ_STATS_ENDPOINT now.
    """

    type_name, summary = "NSQ", "the depth of a channel of a topic"
    fields = (
        Field("topicName", "Topic", expected=True),
        Field("channelName", "Channel", expected=True),
        Field(
            "nsqd",
            "nsqd",
            kind="url",
            secret=True,
            wide=True,
            check=check_endpoints,
            hint="host:port of its HTTP interface, or several with commas between them; empty: "
            "NSQ_STATS_ENDPOINT",
        ),
        Field(
            "nsqlookupd",
            "nsqlookupd",
            kind="url",
            secret=True,
            wide=True,
            check=check_endpoints,
            hint="in place of nsqd: host:port of its HTTP interface; all nsqd with the topic are added up",
        ),
    )
    may_be_missing = True

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> NSQMetric:
        endpoint, lookup = values["nsqd"], values["nsqlookupd"]
        if endpoint and lookup:
            raise ConfigError("nsqlookupd: finds every nsqd, so leave one of nsqd and nsqlookupd out")
        return cls(
            values["topicName"], values["channelName"], endpoint or settings.nsq_stats_endpoint, lookup
        )

    def __init__(
        self, topic_name: str, channel_name: str, endpoint: str | None = None, lookup: str = ""
    ) -> None:
        self.topic_name = topic_name
        self.channel_name = channel_name
        endpoint = endpoint or os.environ.get("NSQ_STATS_ENDPOINT") or DEFAULT_ENDPOINT
        self.endpoint, self.lookup = endpoint, lookup
        self.timed_out_at: float | None = None
        """Time at which more messages had timed out than before, monotonic seconds; None: none yet."""
        self._timed_out: int | None = None
        self._counter = Counter()
        queues = [(topic_name, channel_name)]
        self.source: Source = NSQSource(endpoint, queues=queues)
        if lookup:
            self.source = NSQClusterSource("", lookup, queues)
        elif "," in endpoint:
            self.source = NSQClusterSource(endpoint, "", queues)
        self._missing = False

    def read(self, answer: Depths | Sequence[Depths]) -> int | Measurement:
        everywhere = [answer] if isinstance(answer, Depths) else answer
        having = [depths for depths in everywhere if self.topic_name in depths.topics]
        if bool(having) is self._missing:
            self._say(bool(having))
        self._note_timeouts(having)
        if not having:
            return self.absent(f"NSQ topic {short(self.topic_name)} does not exist")
        found = added_up([self._read(depths) for depths in having])
        arrived = self._arrived(having)
        return replace(found, arrived=arrived) if isinstance(found, Measurement) else found

    def glance(self, answer: Depths | Sequence[Depths]) -> int | Measurement | None:
        if not isinstance(answer, Depths) or self.topic_name not in answer.topics:
            return None
        return self._read(answer)

    def _arrived(self, everywhere: Sequence[Depths]) -> int | None:
        """Returns the messages that have become due since the start of nsqd; None: it is not known."""
        queue = self.topic_name, self.channel_name
        total = self._counter.total(
            {depths.server: count_or_none(depths.arrived.get(queue)) for depths in everywhere}
        )
        # While the topic is paused its messages wait, but the channel has not got them.
        if total is None or any(self.topic_name in depths.paused for depths in everywhere):
            return None
        return total - sum(count_or_none(depths.deferred.get(queue)) or 0 for depths in everywhere)

    def _note_timeouts(self, everywhere: Sequence[Depths]) -> None:
        queue = self.topic_name, self.channel_name
        counts = [count_or_none(depths.timeouts.get(queue)) or 0 for depths in everywhere]
        # The first count may be that of years.
        if self._timed_out is not None and sum(counts) > self._timed_out:
            self.timed_out_at = time.monotonic()
        self._timed_out = sum(counts)

    def _read(self, answer: Depths) -> int | Measurement:
        """Reads the statistics of one nsqd that has the topic."""
        waiting = self._waiting(answer)
        queue = self.topic_name, self.channel_name
        running, future = (count_or_none(of.get(queue)) for of in (answer.in_flight, answer.deferred))
        paused = queue in answer.paused_channels
        if running is None and not paused:
            return waiting
        return Measurement(waiting, running, future=future or 0, paused=paused)

    def _waiting(self, answer: Depths) -> int:
        topic, channel = self.topic_name, self.channel_name
        in_topic, in_channel = answer.topics[topic], answer.channels.get((topic, channel))
        if (topic, channel) not in answer.channels:
            # Other channels would receive the topic's messages, so its depth is no substitute then.
            if self.missing == HELD and answer.channels_of(topic):
                return self.absent(f"NSQ channel {short(channel)} of topic {short(topic)} does not exist")
            # Without a channel the messages wait in the topic.
            return whole_number(in_topic, f"depth of {topic}/{channel}")
        depth = whole_number(in_channel, f"depth of {topic}/{channel}")
        if topic in answer.paused:  # a paused topic keeps its messages from the channel
            depth += whole_number(in_topic, f"depth of {topic}")
        return depth

    def _say(self, found: bool) -> None:
        """Logs once that the topic is missing, and once that it exists."""
        self._missing = not found
        if found:
            log.info("NSQ topic %s exists now", self.topic_name)
        elif self.missing != HELD:  # else the engine logs it for the task
            log.warning("NSQ topic %s does not exist: counts as 0 for now", self.topic_name)


TYPE = NSQMetric
