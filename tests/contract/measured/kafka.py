"""A consumer group of Kafka."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from microscaling.metric.base import Metric
from microscaling.metric.kafka import KafkaMetric
from tests.contract.measured.base import Remote
from tests.metric.proxy import OF_ANY, Proxy, instead, pours
from tests.services.kafka import Kafka

HUGE = b"\x7f\xff\xff\xff"
"""The length of an answer that is too long (Kafka's protocol)."""


class KafkaGroup(Remote):
    type_name = "Kafka"
    faults = OF_ANY | {
        "an answer to no question": instead(b"\x00\x00\x00\x08\x7f\xff\xff\xff\x00\x00\x00\x00"),
        "a length that is too large": instead(HUGE + b"0" * 100),
        "endless": pours(b"\x00\xff\xff\xff", b"0" * 65536),
    }

    def start(self) -> None:
        pytest.importorskip("confluent_kafka", reason="confluent-kafka is not here: pip install '.[kafka]'")
        self.kafka = self.stack.enter_context(Kafka(self.folder))
        self.kafka.warm_up()
        self.kafka.create("jobs", 1)

    def connected(self) -> AbstractContextManager[object]:
        # Its answers name the port of the proxy, as clients connect to what they are told.
        self.proxy = Proxy(self.kafka.behind, self.kafka.proxy)
        return self.proxy

    def metric(self) -> Metric:
        return KafkaMetric(self.proxy.endpoint, "workers", "jobs", "earliest")

    def set(self, count: int) -> None:
        self.kafka.delete_all("jobs")
        self.kafka.put("jobs", {0: count})


KINDS = (KafkaGroup,)
