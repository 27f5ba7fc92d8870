"""Redis with Sentinel, and Redis Cluster: real ones, of Debian's package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.redis import RedisMetric
from microscaling.metric.redis_connection import check_url
from microscaling.metric.redis_stream import RedisStreamMetric
from microscaling.metric.rq import RQMetric
from tests.frameworks.conftest import look  # noqa: F401
from tests.services.redis import QUOTED
from tests.services.redis_topology import NAME, cluster, sentinel
from tests.services.service import wait_for

redis = pytest.importorskip("redis", reason="redis is not here: pip install '.[redis]'")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as (nodes, url):
        client = redis.RedisCluster.from_url(nodes[0].url)
        for i in range(8):
            client.rpush(f"jobs{i}", *range(i + 1))
        client.rpush("rq:queue:mail", "1", "2")
        client.sadd("rq:queues", "rq:queue:mail")
        client.zadd("rq:scheduled:mail", {"later": 9e9})
        client.zadd("rq:wip:mail", {"one": 9e9})
        for i in range(5):
            client.xadd("stream", {"job": i})
        client.xgroup_create("stream", "workers", "0")
        client.xreadgroup("workers", "a", {"stream": ">"}, count=2)
        client.close()
        yield nodes, url


def test_each_key_is_asked_for_where_it_is(two: Any, look: Any) -> None:  # noqa: F811
    _, url = two
    for i in range(8):
        metric = RedisMetric(url, f"jobs{i}")
        look(metric)()
        assert metric.current == i + 1
    assert look(RQMetric(url, "mail"))() == Measurement(2, 1, future=1), "its keys are in several slots"
    found = look(RedisStreamMetric(url, "stream", "workers"))()
    assert (found.waiting, found.running) == (3, 2)


def test_a_slot_that_has_moved_is_found(two: Any, look: Any) -> None:  # noqa: F811
    nodes, url = two
    metric = RedisMetric(url, "jobs3")
    measure = look(metric)
    measure()
    used: Any = metric.source._connection  # type: ignore[union-attr]
    for node in nodes:
        used._slots = [(0, 16383, node.host)]  # as if this one had been the master of all
        metric.current = 0
        measure()
        assert metric.current == 4
        assert len(used._slots) in (1, 2)


def test_a_node_that_is_gone_is_an_error(tmp_path: Path, look: Any) -> None:  # noqa: F811
    with cluster(tmp_path) as (nodes, url):
        metrics = [RedisMetric(url, f"jobs{i}") for i in range(8)]
        for metric in metrics:
            look(metric)()
        nodes[1].__exit__()
        measured = [_measures(metric) for metric in metrics]
        assert False in measured, "the keys of the other one"
        with pytest.raises(MetricError) as caught:
            metrics[measured.index(False)].update()
        assert QUOTED not in str(caught.value)


def test_the_master_is_found_and_so_is_the_next_one(tmp_path: Path, look: Any) -> None:  # noqa: F811
    with sentinel(tmp_path) as (nodes, watch, url):
        with nodes[0].client() as client:
            client.rpush("jobs", 1, 2, 3)
            client.wait(1, 10_000)
        metric = RedisMetric(url, "jobs")
        measure = look(metric)
        measure()
        assert metric.current == 3
        nobody = RedisMetric(url.replace(NAME, "other"), "jobs")
        with pytest.raises(MetricError, match="no Sentinel names the master other: ") as caught:
            look(nobody)()
        assert QUOTED not in str(caught.value)

        nodes[0].__exit__()  # and the Sentinel makes the replica a master
        with pytest.raises(MetricError):
            measure()
        with nodes[1].client() as client, watch.client() as asked:
            wait_for(lambda: asked.sentinel_get_master_addr_by_name(NAME)[1] == nodes[1].port)
            wait_for(lambda: client.role()[0] == b"master")
            client.rpush("jobs", 4)
        wait_for(lambda: _measures(metric) and metric.current == 4)


def _measures(metric: RedisMetric) -> bool:
    try:
        metric.update()
    except MetricError:
        return False
    return True


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://s1:26379,s2/mymaster",
        "redis+sentinel://:p@s1/mymaster/3",
        "rediss+sentinel://s1/mymaster?ssl_cert_reqs=none",
        "redis+cluster://me:p%40@r1:6379,r2:7000",
        "REDIS+CLUSTER://[::1]:6379/0",
    ],
)
def test_good_urls(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://s1:26379",
        "redis+sentinel://s1:26379/",
        "redis+cluster://r1/1",
        "redis+cluster://r1,,r2",
        "redis+sentinel://s1/mymaster/x",
        "redis+cluster://u:hunter22@r1:port",
        "ftp+cluster://r1",
    ],
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^expected redis") as caught:
        check_url(url)
    assert "hunter22" not in str(caught.value)
