"""The offsets of consumer groups of Kafka, by confluent-kafka.

Only requests that create nothing: where brokers create topics by themselves, which is their default, a
question for the metadata of one topic creates it (`AdminClient.list_topics("x")`, or `end_offsets` of
kafka-python, which then says 0). DescribeTopics, ListOffsets and OffsetFetch do not.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from microscaling.utils.text import cause_of

PARTITIONS_S = 10.0
"""Seconds between two looks for new partitions."""
SETTINGS: Mapping[str, Any] = {
    "allow.auto.create.topics": False,
    "client.id": "microscaling",
    "log_level": 0,  # it would write to stderr; its errors come by `error_cb`
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 500,
    "socket.connection.setup.timeout.ms": 2000,
    "socket.timeout.ms": 2000,
}


@dataclass(frozen=True)
class Question:
    """A group, and the topics that it reads."""

    group: str
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """The offsets of a group in a partition of a topic."""

    topic: str
    number: int | None
    """None: there is no such topic."""
    begin: int = 0
    """The offset of its first message."""
    end: int = 0
    """The offset behind its last message that no transaction holds back."""
    committed: int | None = None
    """The offset of the next message for the group; None: it has committed none."""


class KafkaClient:
    """One connection to a cluster. Raises ImportError, and librdkafka's errors."""

    def __init__(self, config: Mapping[str, str]) -> None:
        from confluent_kafka.admin import AdminClient

        self._errors: deque[str] = deque(maxlen=1)
        settings: dict[str, Any] = {**SETTINGS, **config, "error_cb": self._note}
        self._admin: Any = AdminClient(settings)
        self._topics: dict[str, list[int] | Exception] = {}
        self._looked: float | None = None

    def ask(self, questions: Sequence[Question], until: float) -> dict[Question, list[Partition] | Exception]:
        """Returns for each question all partitions, or the error in their place, until `until` (monotonic
        seconds). Raises librdkafka's errors of the connection, and TimeoutError."""
        topics = self._partitions({topic for one in questions for topic in one.topics}, until)
        each = [(topic, number) for topic, numbers in topics.items() for number in _known(numbers)]
        offsets = self._offsets(each, until)
        committed = self._committed(questions, topics, until)
        found: dict[Question, list[Partition] | Exception] = {}
        for question in questions:
            try:
                found[question] = _read(question, topics, offsets, committed[question.group])
            except Exception as error:
                found[question] = error
        return found

    def last_error(self) -> str:
        """Returns the last error of the connection since the last call; empty: none."""
        self._admin.poll(0)
        return self._errors.pop() if self._errors else ""

    def close(self) -> None:
        """Ends all connections."""
        self._admin = None

    def _note(self, error: Any) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":  # which hides the reason
            self._errors.append(error.str())

    def _partitions(self, topics: set[str], until: float) -> dict[str, list[int] | Exception]:
        """Returns the numbers of the partitions of each topic, an empty list for one that does not exist."""
        from confluent_kafka import TopicCollection

        now = time.monotonic()
        known = self._looked is not None and now - self._looked < PARTITIONS_S
        if not known or not all(_known(self._topics.get(topic)) for topic in topics):
            asked = self._admin.describe_topics(TopicCollection(sorted(topics)), request_timeout=left(until))
            self._topics = {topic: _numbers(asked[topic], until) for topic in topics}
            self._looked = now
        return {topic: self._topics[topic] for topic in topics}

    def _offsets(self, each: Iterable[tuple[str, int]], until: float) -> list[dict[tuple[str, int], Any]]:
        """Returns the first and the last offsets of partitions, or the errors in their place."""
        from confluent_kafka import IsolationLevel, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        partitions = [TopicPartition(*one) for one in each]
        # Asked without a partition, librdkafka raises an error.
        if not partitions:
            return [{}, {}]
        asked = [
            self._admin.list_offsets(
                dict.fromkeys(partitions, kind),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=left(until),
            )
            for kind in (OffsetSpec.earliest(), OffsetSpec.latest())
        ]
        return [
            {(one.topic, one.partition): _result(future, until) for one, future in futures.items()}
            for futures in asked
        ]

    def _committed(
        self, questions: Iterable[Question], topics: Mapping[str, Any], until: float
    ) -> dict[str, Any]:
        """Returns for each group the committed offsets by topic and partition, or the error in their
        place."""
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

        wanted: dict[str, dict[tuple[str, int], None]] = {}
        for question in questions:
            partitions = wanted.setdefault(question.group, {})
            for topic in question.topics:
                partitions.update(dict.fromkeys((topic, number) for number in _known(topics[topic])))
        # The library takes one group at a time; the requests are under way together.
        asked = {
            group: self._admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, [TopicPartition(*one) for one in partitions])],
                request_timeout=left(until),
            )[group]
            for group, partitions in wanted.items()
            if partitions
        }
        results = {group: _result(future, until) for group, future in asked.items()}
        return {group: results.get(group) for group in wanted}


def left(until: float) -> float:
    """Returns the seconds until `until` (monotonic seconds). Raises TimeoutError."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


def _known(numbers: list[int] | Exception | None) -> list[int]:
    """Returns the partitions of a topic, if they are known."""
    return numbers if isinstance(numbers, list) else []


def _numbers(future: Any, until: float) -> list[int] | Exception:
    found = _result(future, until)
    if isinstance(found, Exception):
        name = getattr(found.args[0], "name", None) if found.args else None
        return [] if callable(name) and name() == "UNKNOWN_TOPIC_OR_PART" else found
    return [partition.id for partition in found.partitions]


def _result(future: Any, until: float) -> Any:
    """Returns the result of a future, or its error. Raises that of a connection, and TimeoutError."""
    from confluent_kafka import KafkaException

    try:
        return future.result(left(until))
    except KafkaException as error:
        if error.args[0].code() < 0:  # not one of a broker, but of librdkafka itself, such as a time-out
            raise
        return error


def _read(
    question: Question,
    topics: Mapping[str, Any],
    offsets: Sequence[Mapping[tuple[str, int], Any]],
    committed: Any,
) -> list[Partition]:
    """Returns the partitions of a group. Raises an error of a broker, and ValueError."""
    if isinstance(committed, Exception):
        raise committed
    commits = {}
    for one in committed.topic_partitions if committed is not None else ():
        if one.error is not None:
            raise ValueError(cause_of(ValueError(), one.error.str()))
        commits[one.topic, one.partition] = one.offset if one.offset >= 0 else None
    found: list[Partition] = []
    for topic in question.topics:
        numbers = topics[topic]
        if isinstance(numbers, Exception):
            raise numbers
        found += [] if numbers else [Partition(topic, None)]
        for number in numbers:
            begin, end = (of[topic, number] for of in offsets)
            for one in (begin, end):
                if isinstance(one, Exception):
                    raise one
            found.append(Partition(topic, number, begin.offset, end.offset, commits.get((topic, number))))
    return found
