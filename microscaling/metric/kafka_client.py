"""The offsets of consumer groups of Kafka, by confluent-kafka.

Only requests that create nothing: where brokers create topics by themselves, which is their default, a
question for the metadata of one topic creates it (`AdminClient.list_topics("x")`, or `end_offsets` of
kafka-python, which then says 0). Those of a consumer do not, and one that subscribes to nothing joins no
group.

No AdminClient: if the answer to one of its requests comes after the time-out, librdkafka 2.16 ends the whole
process (librdkafka#3663, #4605).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from microscaling.utils.text import cause_of

BEGIN, END = -2, -1
"""Times that stand for the first and the last offset (ListOffsets of Kafka's protocol)."""
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
    """The connections to a cluster: one for its topics, and one for each group. Raises ImportError, and
    librdkafka's errors. `group`: one that may be asked for."""

    def __init__(self, config: Mapping[str, str], group: str) -> None:
        self._errors: deque[str] = deque(maxlen=1)
        self._settings: dict[str, Any] = {**SETTINGS, **config, "error_cb": _noting(self._errors)}
        self._cluster = self._consumer(group, "read_committed")
        self._groups: dict[str, Any] = {}
        self._topics: dict[str, list[int] | Exception] = {}
        self._looked: float | None = None

    def ask(self, questions: Sequence[Question], until: float) -> dict[Question, list[Partition] | Exception]:
        """Returns for each question all partitions, or the error in their place, until `until` (monotonic
        seconds). Raises librdkafka's errors of the connection, and TimeoutError."""
        # Each begins to look for the coordinator of its group when it is made.
        for group in {one.group for one in questions} - self._groups.keys():
            self._groups[group] = self._consumer(group, "read_uncommitted")
        topics = self._partitions({topic for one in questions for topic in one.topics}, until)
        each = [(topic, number) for topic, numbers in topics.items() for number in _known(numbers)]
        offsets = [self._offsets(each, kind, until) for kind in (BEGIN, END)]
        committed = self._committed(questions, topics, until)
        found: dict[Question, list[Partition] | Exception] = {}
        for question in questions:
            try:
                found[question] = _read(question, topics, offsets, committed[question.group])
            except Exception as error:
                found[question] = error
        return found

    def last_error(self) -> str:
        """Returns the last error of the connections since the last call; empty: none."""
        for consumer in (self._cluster, *self._groups.values()):
            consumer.poll(0)
        return self._errors.pop() if self._errors else ""

    def close(self) -> None:
        """Ends all connections."""
        for consumer in (self._cluster, *self._groups.values()):
            consumer.close()

    def _consumer(self, group: str, isolation: str) -> Any:
        """Returns a consumer. One of `read_committed` waits with a group's offsets for transactions."""
        from confluent_kafka import Consumer

        own = {"group.id": group, "isolation.level": isolation, "enable.auto.commit": False}
        return Consumer({**self._settings, **own})

    def _partitions(self, topics: set[str], until: float) -> dict[str, list[int] | Exception]:
        """Returns the numbers of the partitions of each topic, an empty list for one that does not exist."""
        now = time.monotonic()
        known = self._looked is not None and now - self._looked < PARTITIONS_S
        if not known or not all(_known(self._topics.get(topic)) for topic in topics):
            self._topics = {
                topic: _numbers(self._cluster.list_topics(topic, left(until)).topics[topic])
                for topic in sorted(topics)
            }
            self._looked = now
        return {topic: self._topics[topic] for topic in topics}

    def _offsets(
        self, each: Sequence[tuple[str, int]], kind: int, until: float
    ) -> dict[tuple[str, int], Any]:
        """Returns the first or the last offsets of partitions, or the errors in their place."""
        from confluent_kafka import TopicPartition

        asked = [TopicPartition(*one, kind) for one in each]
        found = self._cluster.offsets_for_times(asked, left(until)) if asked else ()
        return {(one.topic, one.partition): one for one in found}

    def _committed(
        self, questions: Iterable[Question], topics: Mapping[str, Any], until: float
    ) -> dict[str, Any]:
        """Returns for each group the committed offsets, or the error in their place."""
        from confluent_kafka import KafkaException, TopicPartition

        wanted: dict[str, dict[tuple[str, int], None]] = {}
        for question in questions:
            partitions = wanted.setdefault(question.group, {})
            for topic in question.topics:
                partitions.update(dict.fromkeys((topic, number) for number in _known(topics[topic])))
        found: dict[str, Any] = {}
        for group, partitions in wanted.items():
            asked = [TopicPartition(*one) for one in partitions]
            try:
                found[group] = self._groups[group].committed(asked, left(until)) if asked else ()
            except KafkaException as error:
                if (
                    error.args[0].code() < 0
                ):  # not one of a broker, but of librdkafka itself, such as a time-out
                    raise
                found[group] = error
        return found


def _noting(errors: deque[str]) -> Callable[[Any], None]:
    """Returns a callback that keeps the last error."""

    def note(error: Any) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":  # which hides the reason
            errors.append(error.str())

    return note


def left(until: float) -> float:
    """Returns the seconds until `until` (monotonic seconds). Raises TimeoutError."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


def _known(numbers: list[int] | Exception | None) -> list[int]:
    """Returns the partitions of a topic, if they are known."""
    return numbers if isinstance(numbers, list) else []


def _numbers(topic: Any) -> list[int] | Exception:
    """Returns the numbers of the partitions of a topic, or its error."""
    if topic.error is None:
        return sorted(topic.partitions)
    return [] if topic.error.name() == "UNKNOWN_TOPIC_OR_PART" else ValueError(_words(topic.error))


def _words(error: Any) -> str:
    return cause_of(ValueError(), error.str())


def _offset(partition: Any) -> int:
    """Returns the offset of a partition. Raises ValueError."""
    if partition.error is not None:
        raise ValueError(_words(partition.error))
    return int(partition.offset)


def _read(
    question: Question,
    topics: Mapping[str, Any],
    offsets: Sequence[Mapping[tuple[str, int], Any]],
    committed: Any,
) -> list[Partition]:
    """Returns the partitions of a group. Raises an error of a broker, and ValueError."""
    if isinstance(committed, Exception):
        raise committed
    commits = {(one.topic, one.partition): _offset(one) for one in committed}
    found: list[Partition] = []
    for topic in question.topics:
        numbers = topics[topic]
        if isinstance(numbers, Exception):
            raise numbers
        found += [] if numbers else [Partition(topic, None)]
        for number in numbers:
            begin, end = (_offset(of[topic, number]) for of in offsets)
            commit = commits[topic, number]
            found.append(Partition(topic, number, begin, end, commit if commit >= 0 else None))
    return found
