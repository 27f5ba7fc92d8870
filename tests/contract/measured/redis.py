"""What Redis itself has."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import SimpleNamespace

from microscaling.metric.base import Metric
from microscaling.metric.redis import RedisMetric
from microscaling.metric.redis_stream import RedisStreamMetric
from tests.contract.measured.base import Remote
from tests.metric.proxy import OF_REDIS, Proxy
from tests.services.redis import QUOTED, RedisServer
from tests.services.redis_topology import NAME, Node, Sentinel
from tests.services.service import free_port, wait_for


class RedisList(Remote):
    type_name = "Redis"
    faults = OF_REDIS

    def start(self) -> None:
        server = self.stack.enter_context(RedisServer(self.folder))
        self.client = self.stack.enter_context(server.client())
        self.url = server.url
        self.client.ping()  # from here on it has its connection

    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs")

    def set(self, count: int) -> None:
        self.client.delete("jobs")
        if count:
            self.client.rpush("jobs", *range(count))


class RedisStream(RedisList):
    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs", "stream")

    def set(self, count: int) -> None:
        self.client.delete("jobs")
        for i in range(count):
            self.client.xadd("jobs", {"job": i})


class RedisSortedSet(RedisList):
    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs", "zset")

    def set(self, count: int) -> None:
        self.client.delete("jobs")
        if count:
            self.client.zadd("jobs", {f"job {i}": i for i in range(count)})


class RedisDue(RedisSortedSet):
    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs", "due")

    def set(self, count: int) -> None:
        super().set(count)
        self.client.zadd("jobs", {"a job of tomorrow": time.time() + 86_400})


class RedisGroup(RedisStream):
    def metric(self) -> Metric:
        return RedisMetric(self.way, "jobs", "group", "workers")

    def set(self, count: int) -> None:
        super().set(count)
        self.client.xgroup_create("jobs", "workers", "0", mkstream=True)
        self.client.xadd("jobs", {"job": "that nobody has taken"})
        if count:
            self.client.xreadgroup("workers", "worker", {"jobs": ">"}, count=count)


class RedisStreamOfGroup(RedisList):
    type_name = "RedisStream"

    def metric(self) -> Metric:
        return RedisStreamMetric(self.way, "jobs", "workers")

    def set(self, count: int) -> None:
        self.client.delete("jobs")
        self.client.xgroup_create("jobs", "workers", "0", mkstream=True)
        for i in range(count):
            self.client.xadd("jobs", {"job": i})


class RedisOfCluster(RedisList):
    """A cluster of one node, which says that it is where the proxy is."""

    def start(self) -> None:
        self.port = free_port()
        announced = "--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", str(self.port)
        node = Node(self.folder / "node", "--cluster-enabled", "yes", *announced)
        self.stack.enter_context(node)
        self.client = self.stack.enter_context(node.client())
        self.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_for(lambda: self.client.cluster("INFO")["cluster_state"] == "ok")
        self.url = node.url.replace("redis:", "redis+cluster:")

    def connected(self) -> AbstractContextManager[object]:
        self.proxy = Proxy(self.address, self.port)
        return self.proxy


class RedisOfSentinel(RedisList):
    """A Sentinel that says that its master is where the proxy is."""

    def start(self) -> None:
        super().start()
        self.port = free_port()
        watch = Sentinel(self.folder / "sentinel", SimpleNamespace(port=self.port))
        self.stack.enter_context(watch)
        self.sentinel_url = f"redis+sentinel://:{QUOTED}@127.0.0.1:{watch.port}/{NAME}"

    def connected(self) -> AbstractContextManager[object]:
        self.proxy = Proxy(self.address, self.port)
        return self.proxy

    @property
    def address(self) -> str:
        return super().address.partition("/")[0]

    def metric(self) -> Metric:
        return RedisMetric(self.sentinel_url, "jobs")


KINDS = (
    RedisOfCluster,
    RedisOfSentinel,
    RedisStreamOfGroup,
    RedisList,
    RedisStream,
    RedisGroup,
    RedisSortedSet,
    RedisDue,
)
