"""The metric of a consumer group of Kafka: its lag."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement, Metric
from microscaling.metric.counter import Counter
from microscaling.metric.kafka_client import Partition, Question
from microscaling.metric.kafka_source import OPTIONS, KafkaSource
from microscaling.metric.missing import HELD
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import alternatives, few, nearest, short

log = logging.getLogger("mssmetric")

EARLIEST, LATEST, ERROR = "earliest", "latest", "error"


def check_servers(servers: str) -> None:
    """Raises ConfigError for anything but host:port, or several with commas between them."""
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or "/" in host or "@" in host or not (port.isascii() and port.isdigit()):
            raise ConfigError("expected host:port, or several with commas between them, such as kafka:9092")


def check_options(options: Mapping[str, Sequence[str]]) -> None:
    """Raises ConfigError for an option that is none, has no business here, or has not one value."""
    for name, values in options.items():
        if name not in OPTIONS:
            other = nearest(name, OPTIONS)
            hint = f"; did you mean {other}?" if other else ""
            raise ConfigError(f"{short(name)} is not one of those for the connection{hint}")
        if len(values) != 1:
            raise ConfigError(f"{name}: expected one value")


class KafkaMetric(Metric):
    """The messages of some topics that a consumer group has not committed (items), those included that its
    members work on. Raises ConfigError."""

    type_name, summary = "Kafka", "the lag of a consumer group of Kafka"
    fields = (
        Field(
            "bootstrapServers",
            "Bootstrap servers",
            required=True,
            wide=True,
            check=check_servers,
            hint="kafka-1:9092,kafka-2:9092",
        ),
        Field("group", "Consumer group", required=True),
        Field("topics", "Topics", required=True, wide=True, hint="one, or several with commas between them"),
        Field(
            "offsetReset",
            "Without an offset",
            kind="choice",
            default=ERROR,
            choices=(ERROR, EARLIEST, LATEST),
            hint="where the group begins in a partition in which it has committed nothing, as with its "
            "consumers' auto.offset.reset: earliest counts all of it, latest nothing",
        ),
        Field(
            "options",
            "Options of the connection",
            kind="params",
            secret=True,
            wide=True,
            check=check_options,
            hint="as librdkafka names them: security.protocol, sasl.mechanism, sasl.username, sasl.password, "
            "ssl.ca.location, ...",
        ),
    )
    may_be_missing = True
    missing = HELD  # workers, and brokers, create topics; a wrong name would look the same

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> KafkaMetric:
        return cls(
            values["bootstrapServers"],
            values["group"],
            values["topics"],
            values["offsetReset"],
            values["options"],
        )

    def __init__(
        self,
        servers: str,
        group: str,
        topics: str,
        offset_reset: str = ERROR,
        options: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        check_servers(servers)
        check_options(options or {})
        # In order, and each once: a topic twice would count twice.
        names = tuple(dict.fromkeys(name for topic in topics.split(",") if (name := topic.strip())))
        if not names:
            raise ConfigError("topics: expected the name of a topic")
        if offset_reset not in (ERROR, EARLIEST, LATEST):
            raise ConfigError(f"offsetReset: expected {alternatives((ERROR, EARLIEST, LATEST))}")
        self.question = Question(group, names)
        self.offset_reset = offset_reset
        settings = {name: values[0] for name, values in (options or {}).items()}
        self.source = KafkaSource(servers, settings, self.question)
        self._what = f"group {short(group)} of Kafka"
        self._partitions = 0
        self._ends, self._commits = Counter(), Counter()

    def read(self, answer: Mapping[Question, list[Partition] | MetricError]) -> int | Measurement:
        # Without an entry the request was under way before this group was added.
        found = answer.get(self.question) or MetricError(f"{self._what}: not measured yet")
        if isinstance(found, MetricError):
            raise found
        missing = [partition.topic for partition in found if partition.number is None]
        if missing:
            return self.absent(f"{self._what}: there is no topic {few([*map(short, missing)])}")
        self._say(len(found))
        lag = sum(self._lag(partition) for partition in found)
        return Measurement(lag, arrived=self._arrived(found), finished=self._finished(found))

    def _arrived(self, partitions: Sequence[Partition]) -> int | None:
        """Returns the offsets behind the last messages, in all. Those of a partition without a commit do not
        count: they may be in no lag."""
        return self._ends.total(
            {(one.topic, one.number): None if one.committed is None else one.end for one in partitions}
        )

    def _finished(self, partitions: Sequence[Partition]) -> int | None:
        """Returns the committed offsets, in all."""
        return self._commits.total(
            {
                (one.topic, one.number): None if one.committed is None else max(one.committed, one.begin)
                for one in partitions
            }
        )

    def _lag(self, partition: Partition) -> int:
        begin, end = partition.begin, partition.end
        if partition.committed is None:
            if begin < end and self.offset_reset == ERROR:
                raise MetricError(
                    f"{self._what} has committed nothing in partition {partition.number} of "
                    f"{short(partition.topic)}: set offsetReset to {EARLIEST} or {LATEST}, as its consumers' "
                    "auto.offset.reset; a share group never does, and its lag is not to be had in this way"
                )
            return end - begin if self.offset_reset == EARLIEST else 0
        # What was deleted by its age is not to be had any more.
        return max(0, end - max(partition.committed, begin))

    def _say(self, partitions: int) -> None:
        """Logs the number of partitions, once and at each change."""
        if partitions != self._partitions:
            self._partitions = partitions
            log.info(
                "%s has %d partition(s) to read: a container above that number gets none (maxContainers)",
                self._what,
                partitions,
            )


TYPE = KafkaMetric
