"""A real Kafka, one broker by itself (KRaft), from the packages of Maven; clients of confluent-kafka."""

from __future__ import annotations

import contextlib
import functools
import signal
import subprocess
from typing import Any

from tests.services.service import CACHE, Service, find, free_port, skip_slow, wait_for

LIBS = CACHE / "kafka"
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAIN://127.0.0.1:{port},BEHIND://127.0.0.1:{behind},LOGIN://127.0.0.1:{login},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAIN://127.0.0.1:{port},BEHIND://127.0.0.1:{proxy},LOGIN://127.0.0.1:{login}
listener.security.protocol.map=PLAIN:PLAINTEXT,BEHIND:PLAINTEXT,LOGIN:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  user_agent="s3cret";
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=1000
"""


class Kafka(Service):
    """Its listener `behind` tells clients that it is at `proxy`, a port for a proxy in front of it; `login`
    wants agent and s3cret."""

    listens = "Kafka Server started"
    end_with = signal.SIGKILL  # asked nicely it takes its time

    def command(self) -> list[str]:
        if not any(LIBS.glob("kafka_*.jar")):
            skip_slow("there is no Kafka here")
        names = ("port", "behind", "proxy", "login", "controller")
        ports = {name: free_port() for name in names}
        self.servers, self.behind, self.login = (
            f"127.0.0.1:{ports[name]}" for name in ("port", "behind", "login")
        )
        self.proxy = ports["proxy"]
        properties = self.folder / "server.properties"
        properties.write_text(PROPERTIES.format(folder=self.folder, **ports))
        java = [find("java"), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{LIBS}/*"]
        formatted = [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties)]
        subprocess.run(formatted, check=True, capture_output=True)
        return [*java, "kafka.Kafka", str(properties)]

    @functools.cached_property
    def admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})

    def warm_up(self) -> None:
        """Waits until it knows the offsets of groups, for which it makes a topic of its own first."""
        from confluent_kafka import KafkaException, TopicPartition

        self.create("warm", 1)

        def answers() -> bool:
            # A new one each time: librdkafka may never find the coordinator that it did not find at first.
            consumer = self.consumer("warm", "warm")
            with contextlib.closing(consumer), contextlib.suppress(KafkaException):
                return bool(consumer.committed([TopicPartition("warm", 0)], 5))
            return False

        wait_for(answers)

    def create(self, topic: str, partitions: int, **config: str) -> None:
        from confluent_kafka.admin import NewTopic

        new = NewTopic(topic, partitions, 1, config=config)
        self.admin.create_topics([new])[topic].result(60)

    def topics(self) -> set[str]:
        """Those that are there; of all topics, which creates none."""
        return {name for name in self.admin.list_topics(timeout=30).topics if not name.startswith("__")}

    def put(self, topic: str, counts: dict[int, int], **config: Any) -> None:
        """Messages for each partition."""
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self.servers, "log_level": 0, **config})
        for partition, count in counts.items():
            for _ in range(count):
                producer.produce(topic, b"job", partition=partition)
        assert producer.flush(60) == 0

    def delete_all(self, topic: str) -> None:
        """Deletes the messages in partition 0."""
        from confluent_kafka import OFFSET_END, TopicPartition

        partition = TopicPartition(topic, 0, OFFSET_END)
        self.admin.delete_records([partition])[partition].result(60)

    def consumer(self, group: str, topic: str) -> Any:
        """A member of a group that commits only when it is told to."""
        from confluent_kafka import Consumer

        config = {"bootstrap.servers": self.servers, "group.id": group, "auto.offset.reset": "earliest"}
        consumer = Consumer({**config, "enable.auto.commit": False, "log_level": 0})
        consumer.subscribe([topic])
        return consumer


def take(consumer: Any, count: int) -> list[Any]:
    """Reads exactly so many messages."""
    taken: list[Any] = []
    while len(taken) < count:
        taken += consumer.consume(count - len(taken), 60)
    assert all(message.error() is None for message in taken)
    return taken
