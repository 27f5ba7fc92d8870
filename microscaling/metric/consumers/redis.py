"""The consumers of queues in Redis: of RQ, of Sidekiq, of asynq, and of a group of a stream."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from microscaling.clients.http.client import public_url
from microscaling.errors import ConfigError
from microscaling.metric.base import Metric
from microscaling.metric.consumers.base import DEADLINE_S, Consumer, Consumers, MetricError
from microscaling.metric.redis_connection import connection
from microscaling.metric.redis_jobs import Command, JobsMetric
from microscaling.metric.redis_stream import RedisStreamMetric
from microscaling.metric.sidekiq import SidekiqMetric
from microscaling.utils.text import cause_of

MAX_BYTES = 2**22
SERVERS = "asynq:servers"


class RedisConsumers(Consumers):
    """Asks one Redis over a connection of its own."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        assert isinstance(metric, JobsMetric)
        self.url, self.queue = metric.url, metric.queue
        self.name = f"Redis at {public_url(self.url)}"
        self._connection: Any = None

    def fetch(self) -> Sequence[Consumer]:
        try:
            return self.consumers()
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise MetricError(
                f"{self.name}: not the answer of {type(self).__name__} ({error!r:.60})"
            ) from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()

    @abstractmethod
    def consumers(self) -> list[Consumer]:
        """Asks for them. Raises MetricError."""

    def ask_for(self, *commands: Command) -> list[Any]:
        """Returns the answers to commands. Raises MetricError."""
        try:
            import redis

            self._connection = self._connection or connection(self.url)
        except ImportError:
            raise MetricError(f"{self.name} needs redis: pip install '.[redis]' in the clone") from None
        except ConfigError as error:
            raise MetricError(f"{self.name}: {error}") from None
        try:
            answers: list[Any] = self._connection.ask_all(commands, DEADLINE_S, MAX_BYTES)
        except (TimeoutError, redis.RedisError, OSError, ValueError, RecursionError) as error:
            self._connection.disconnect()  # a late answer would be taken for that to the next command
            raise MetricError(f"{self.name}: {cause_of(error)}") from None
        failed = [answer for answer in answers if isinstance(answer, Exception)]
        if failed:
            raise MetricError(f"{self.name}: {cause_of(failed[0])}")
        return answers


class RQConsumers(RedisConsumers):
    """The workers of a queue of RQ: `rq:workers:QUEUE`, and a hash for each."""

    def consumers(self) -> list[Consumer]:
        [keys] = self.ask_for(("SMEMBERS", f"rq:workers:{self.queue}"))
        found = self.ask_for(*(("HMGET", key, "hostname", "state") for key in keys)) if keys else []
        # One whose hash has expired is gone. In any other state it may be about to begin a job.
        return [
            Consumer(host.decode(), state not in (b"idle", b"suspended")) for host, state in found if host
        ]


class SidekiqConsumers(RedisConsumers):
    """The processes of Sidekiq: of all queues, as a process does not name the queue of its job."""

    delay_s = 10.0

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric)
        assert isinstance(metric, SidekiqMetric)
        self.prefix = metric.prefix

    def consumers(self) -> list[Consumer]:
        # Two round trips, but the set is small, and a script may be forbidden.
        [names] = self.ask_for(("SMEMBERS", f"{self.prefix}processes"))
        found = (
            self.ask_for(*(("HGET", self.prefix.encode() + name, "busy") for name in names)) if names else []
        )
        # HOST:PID:NONCE; a process that is gone has no hash any more.
        return [
            Consumer(name.decode().rsplit(":", 2)[0], int(busy) > 0)
            for name, busy in zip(names, found, strict=True)
            if busy is not None
        ]


class AsynqConsumers(RedisConsumers):
    """The servers of asynq: of all queues, as the list of their tasks has no queue in its key."""

    delay_s = 6.0
    """A server writes every 5 s."""

    def consumers(self) -> list[Consumer]:
        # The set keeps the keys of servers that were killed: theirs expire 10 s after their last word.
        [listed] = self.ask_for(("ZRANGE", SERVERS, "0", "-1"))
        names = [key.removeprefix(SERVERS.encode() + b":") for key in listed]
        asked = [(("EXISTS", key), ("HLEN", b"asynq:workers:" + name))
                 for key, name in zip(listed, names, strict=True)]  # fmt: skip
        found = self.ask_for(*(command for pair in asked for command in pair)) if asked else []
        return [
            Consumer(name.strip(b"{}").decode().rsplit(":", 2)[0], int(tasks) > 0)
            for name, alive, tasks in zip(names, found[::2], found[1::2], strict=True)
            if alive
        ]


class StreamConsumers(RedisConsumers):
    """The consumers of a group of a stream, if their names have the host name in them."""

    delay_s = 0.05

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric)
        assert isinstance(metric, RedisStreamMetric)
        self.group = metric.group

    def consumers(self) -> list[Consumer]:
        # Names and values alternate, as in all answers of RESP 2.
        [listed] = self.ask_for(("XINFO", "CONSUMERS", self.queue, self.group))
        rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in listed]
        return [Consumer(row[b"name"].decode(), int(row[b"pending"]) > 0) for row in rows]


KINDS: dict[str, type[RedisConsumers]] = {
    "RQ": RQConsumers,
    "Asynq": AsynqConsumers,
    "Sidekiq": SidekiqConsumers,
    "RedisStream": StreamConsumers,
}
