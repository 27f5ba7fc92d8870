"""Consumers and containers that belong together, by the host name."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest

from microscaling.demand.drain import Activity
from microscaling.errors import TemporaryError
from microscaling.metric.consumers.base import Consumer, Consumers, MetricError
from microscaling.scheduler.docker.hosts import Hosts

BUSY, IDLE = Activity.BUSY, Activity.IDLE


class Listed(Consumers):
    name = "NSQ at nsqd:4151"

    def __init__(self, *consumers: Consumer) -> None:
        super().__init__()
        self.consumers = consumers

    def fetch(self) -> Sequence[Consumer]:
        return self.consumers


def container(hostname: str = "", age_s: float = 60.0, **host: Any) -> dict[str, Any]:
    started = datetime.fromtimestamp(time.time() - age_s, timezone.utc).isoformat().replace("+00:00", "Z")
    return {"Config": {"Hostname": hostname}, "HostConfig": host, "State": {"StartedAt": started}}


def activities(containers: Mapping[str, dict[str, Any]], *consumers: Consumer) -> Mapping[str, Activity]:
    hosts = Hosts(lambda id: containers[id], lambda: "machine")
    return hosts.activities(Listed(*consumers), list(containers))


def test_busy_is_a_container_with_any_busy_consumer() -> None:
    containers = {"a": container("host-a"), "b": container("host-b")}
    found = activities(
        containers,
        Consumer("host-a", False), Consumer("host-a", True), Consumer("host-b", False),
        Consumer("a-ghost", True),
    )  # fmt: skip
    assert found == {"a": BUSY, "b": IDLE}


@pytest.mark.parametrize("name", ["host-a", "worker@host-a", "host-a:7", "host-a/7", "7|host-a"])
def test_a_host_name_within_a_name(name: str) -> None:
    assert activities({"a": container("host-a")}, Consumer(name, True)) == {"a": BUSY}


@pytest.mark.parametrize("name", ["host-ab", "xhost-a", "HOST-A", ""])
def test_other_names(name: str) -> None:
    with pytest.raises(TemporaryError, match=r"no consumer with the host name of container a \(host-a\)"):
        activities({"a": container("host-a")}, Consumer(name, True))


def test_one_that_is_missing_makes_all_unknown_unless_it_is_new() -> None:
    consumers = (Consumer("host-a", False), Consumer("gateway", True))
    with pytest.raises(TemporaryError) as error:
        activities({"a": container("host-a"), "b" * 64: container("host-b")}, *consumers)
    assert str(error.value) == (
        f"NSQ at nsqd:4151 has no consumer with the host name of container {'b' * 12} (host-b); it has "
        "gateway, host-a"
    )
    found = activities({"a": container("host-a"), "b": container("host-b", age_s=3)}, *consumers)
    assert found == {"a": IDLE}


@pytest.mark.parametrize(
    "alike",
    [
        {"a": container("same"), "b": container("same")},
        {"a": container("machine", NetworkMode="host")},
        {"a": container("same", UTSMode="host")},
        {"a": container("same", NetworkMode="container:x")},
    ],
    ids=["the same for both", "the machine's", "the machine's by uts", "another container's"],
)
def test_names_that_identify_none(alike: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(TemporaryError, match="without a host name of its own"):
        activities(alike, Consumer("same", False), Consumer("machine", False))


def test_on_the_hosts_network_with_a_name_of_its_own() -> None:
    containers = {"a": container("worker-1", NetworkMode="host")}
    assert activities(containers, Consumer("worker-1", True)) == {"a": BUSY}


class ByAddress(Listed):
    by_address = True


def on(age_s: float = 60.0, **addresses: str) -> dict[str, Any]:
    networks = {name: {"IPAddress": address, "GlobalIPv6Address": ""} for name, address in addresses.items()}
    return {**container("name", age_s), "NetworkSettings": {"Networks": networks}}


def test_by_address_where_there_is_no_host_name() -> None:
    containers = {"a": on(front="172.18.0.2", back="172.19.0.2"), "b": on(back="172.19.0.3"), "c": on(3)}
    hosts = Hosts(lambda id: containers[id], lambda: "machine")
    source = ByAddress(Consumer("", True, "172.19.0.2"), Consumer("", False, "172.19.0.3"))
    assert hosts.activities(source, ["a", "b", "c"]) == {"a": BUSY, "b": IDLE}
    # After a restart "b" has the address that "a" had.
    containers["b"], containers["a"] = on(back="172.19.0.2"), on(back="172.19.0.3")
    assert hosts.activities(source, ["a", "b"]) == {"a": IDLE, "b": BUSY}


@pytest.mark.parametrize(
    ("it", "said"),
    [
        (
            on(back="172.19.0.9"),
            r"no consumer with the address of container a \(172.19.0.9\); it has 172.19.0.1$",
        ),
        (on(host=""), r"container a \(without an address of its own\)"),
        ({**container("a"), "NetworkSettings": {"Networks": None}}, r"without an address of its own"),
    ],
    ids=["the gateway's", "on the host's network", "on no network"],
)
def test_an_address_that_identifies_none(it: dict[str, Any], said: str) -> None:
    hosts = Hosts(lambda id: it, lambda: "machine")
    with pytest.raises(TemporaryError, match=said):
        hosts.activities(ByAddress(Consumer("", True, "172.19.0.1")), ["a"])


def test_a_source_is_known_to_show_containers_once_it_has_shown_one() -> None:
    containers = {"a": container("host-a"), "b": container("host-b")}
    hosts = Hosts(lambda id: containers[id], lambda: "machine")
    source = Listed(Consumer("gateway", True))
    with pytest.raises(TemporaryError):
        hosts.activities(source, ["a", "b"])
    assert not source.matched
    source.consumers = (Consumer("host-a", True),)
    with pytest.raises(TemporaryError):
        hosts.activities(source, ["a", "b"])
    assert source.matched


def test_a_source_that_does_not_answer() -> None:
    class Away(Listed):
        def fetch(self) -> Sequence[Consumer]:
            raise MetricError("nsqd is away")

    hosts = Hosts(lambda id: container("a"), lambda: "machine")
    with pytest.raises(TemporaryError, match="nsqd is away"):
        hosts.activities(Away(), ["a"])
