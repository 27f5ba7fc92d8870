"""A Kafka cluster as a source: the offsets of all groups of its tasks."""

from __future__ import annotations

import time
from collections.abc import Mapping

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Source
from microscaling.metric.kafka_client import KafkaClient, Partition, Question
from microscaling.utils.text import cause_of, short

DEADLINE_S = 2.0
NEEDS_LIBRARY = "metricType Kafka needs confluent-kafka: pip install '.[kafka]' in the clone"
SECRET = frozenset(
    {"sasl.password", "sasl.oauthbearer.client.secret", "ssl.key.password", "ssl.key.pem", "sasl.username"}
)
OPTIONS = SECRET | {
    "broker.address.family",
    "client.id",
    "enable.ssl.certificate.verification",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "security.protocol",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
}
"""The properties of librdkafka that a task may set: others could load a library or run a command."""


class KafkaSource(Source):
    """One cluster."""

    def __init__(
        self, servers: str, options: Mapping[str, str], question: Question, deadline_s: float = DEADLINE_S
    ) -> None:
        self._config = {"bootstrap.servers": servers, **options}
        self.key = ("kafka", *sorted(self._config.items()))
        self.name = f"Kafka at {short(servers)}"
        self.secrets = [self._config[name] for name in SECRET & options.keys()]
        self.questions = {question: None}
        self._group, self._deadline_s = question.group, deadline_s
        self._client: KafkaClient | None = None

    def check(self) -> None:
        try:
            import confluent_kafka  # noqa: F401
        except ImportError:
            raise ConfigError(NEEDS_LIBRARY) from None
        try:
            KafkaClient(self._config, self._group).close()
        except Exception as error:  # librdkafka's, for a value that is none
            raise ConfigError(f"options: {self._masked(_reason(error))}") from None

    def also(self, other: Source) -> None:
        if isinstance(other, KafkaSource):
            self.questions = {**self.questions, **other.questions}

    def fetch(self) -> Mapping[Question, list[Partition] | MetricError]:
        """Returns for each group its partitions, or the error of Kafka in their place."""
        until = time.monotonic() + self._deadline_s
        try:
            if self._client is None:
                self._client = KafkaClient(self._config, self._group)
            found = self._client.ask(list(self.questions), until)
        except ImportError:
            raise MetricError(NEEDS_LIBRARY) from None
        except Exception as error:  # the library's own, and TimeoutError
            why = self._masked(self._why(error))
            # After some faults librdkafka never finds the group's coordinator again.
            self.close()
            raise MetricError(f"{self.name}: {why}") from None
        return {
            question: MetricError(f"{self.name}: {self._masked(_reason(one))}")
            if isinstance(one, Exception)
            else one
            for question, one in found.items()
        }

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _why(self, error: Exception) -> str:
        """Returns the reason of a failure; if that is only that there was no answer, the connection's."""
        last, reason = self._client.last_error() if self._client is not None else "", _reason(error)
        if isinstance(error, TimeoutError) or reason.endswith("Timed out"):
            return last or f"no complete answer within {self._deadline_s:g} s"
        return last if last and reason.endswith("Broker transport failure") else reason

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***") if secret else text
        return text


def _reason(error: Exception) -> str:
    """Returns librdkafka's words for an error, in one line."""
    inner = error.args[0] if error.args else None
    words = getattr(inner, "str", None)
    return cause_of(error, words() if callable(words) else None)
