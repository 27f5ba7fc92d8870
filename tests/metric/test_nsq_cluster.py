"""Channels of NSQ in every state, of one nsqd and of several; the truth is what the test has done."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric import missing, nsq_cluster
from microscaling.metric.base import Measurement
from microscaling.metric.nsq import NSQMetric
from microscaling.settings import Settings
from tests.frameworks.conftest import look  # noqa: F401
from tests.frameworks.stage import until
from tests.metric.faulty import Server, answers
from tests.metric.nsqd import Consumer, Nsqd, Nsqlookupd


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Nsqd]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(nsqd) for nsqd in made(tmp_path)]


def made(folder: Path, *options: str) -> Iterator[Nsqd]:
    for name in ("a", "b"):
        (folder / name).mkdir()
        yield Nsqd(folder / name, *options)


def put(nsqd: Nsqd, count: int, topic: str = "mails", query: str = "") -> None:
    for _ in range(count):
        nsqd.post(f"/pub?topic={topic}{query}", b"mail")


def test_every_state(tmp_path: Path, look: Any) -> None:  # noqa: F811
    with Nsqd(tmp_path, "-msg-timeout=4s") as nsqd:
        metric = NSQMetric("mails", "workers", nsqd.endpoint)
        measure = look(metric)
        measure()
        assert metric.current == 0, "it is not there"
        put(nsqd, 3)
        measure()
        assert metric.current == 3, "they wait in the topic"
        nsqd.post("/channel/create?topic=mails&channel=workers")
        until(measure, Measurement(3, 0))
        put(nsqd, 3)
        put(nsqd, 2, query="&defer=3600000")
        until(measure, Measurement(6, 0, future=2))
        with Consumer(nsqd, "mails", "workers", 4) as consumer:
            taken = [consumer.take() for _ in range(4)]
            until(measure, Measurement(2, 4, future=2))
            consumer.say("RDY 0")
            consumer.say(f"FIN {taken[0]}")
            consumer.say(f"REQ {taken[1]} 3600000")
            until(measure, Measurement(2, 2, future=3))
        # What a killed consumer had stays in flight until the time of the message is over.
        until(measure, Measurement(4, 0, future=3))
        nsqd.post("/channel/pause?topic=mails&channel=workers")
        until(measure, Measurement(4, 0, future=3, paused=True))
        assert metric.current == 0, "no consumer gets one"
        nsqd.post("/channel/unpause?topic=mails&channel=workers")
        until(measure, Measurement(4, 0, future=3))


def test_an_ephemeral_topic_that_goes_with_its_last_consumer_is_empty(tmp_path: Path, look: Any) -> None:  # noqa: F811
    with Nsqd(tmp_path, "-mem-queue-size=100") as nsqd:
        metric = NSQMetric("mails#ephemeral", "workers#ephemeral", nsqd.endpoint)
        measure = look(metric)
        with Consumer(nsqd, "mails#ephemeral", "workers#ephemeral", 0):
            until(lambda: measure() is not None, True)
            put(nsqd, 150, "mails%23ephemeral")
            until(measure, Measurement(100, 0))
        until(lambda: measure() or metric.current, 0)


def test_several_nsqd_are_added_up(two: list[Nsqd], look: Any) -> None:  # noqa: F811
    listed = ",".join(nsqd.endpoint for nsqd in two)
    metric = NSQMetric("mails", "workers", listed)
    measure = look(metric)
    measure()
    assert metric.current == 0
    put(two[0], 3)
    measure()
    assert metric.current == 3
    put(two[1], 4)
    for nsqd in two:
        nsqd.post("/channel/create?topic=mails&channel=workers")
    until(measure, Measurement(7, 0))
    with Consumer(two[1], "mails", "workers", 2) as consumer:
        consumer.take()
        consumer.take()
        until(measure, Measurement(5, 2))
    put(two[0], 1, "others")
    other = NSQMetric("others", "workers", listed)
    assert other.source.key == metric.source.key
    metric.source.also(other.source)
    assert other.read(metric.source.fetch()) == 1

    two[1].__exit__()
    with pytest.raises(MetricError, match=two[1].endpoint):
        measure()


def test_nsqd_are_found_by_nsqlookupd(
    tmp_path: Path,
    look: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nsq_cluster, "LOOKUP_S", 0.0)
    (tmp_path / "lookup").mkdir()
    with contextlib.ExitStack() as stack:
        lookup = stack.enter_context(Nsqlookupd(tmp_path / "lookup"))
        registered = "-lookupd-tcp-address=" + lookup.tcp, "-broadcast-address=127.0.0.1"
        metric = NSQMetric("mails", "workers", lookup=f"127.0.0.1:1,{lookup.endpoint}")
        measure = look(metric)
        measure()
        assert metric.current == 0, "no nsqd is registered"
        two = [stack.enter_context(nsqd) for nsqd in made(tmp_path, *registered)]
        put(two[0], 3)
        until(lambda: measure() or metric.current, 3)
        put(two[1], 4)
        until(lambda: measure() or metric.current, 7)
        two[1].__exit__()  # it says good-bye, so its messages are out of reach
        until(lambda: _in_time(measure) or metric.current, 3)
        lookup.__exit__()
        with pytest.raises(MetricError, match="nodes"):
            measure()


def _in_time(measure: Any) -> Any:
    with contextlib.suppress(MetricError):  # nsqlookupd has not noticed yet
        return measure()


def test_a_nsqd_that_is_about_to_lose_the_topic_is_not_asked(look: Any) -> None:  # noqa: F811
    node = {
        "broadcast_address": "127.0.0.1",
        "http_port": 1,
        "topics": ["mails", "x"],
        "tombstones": [True, False],
    }
    for answer in ({"producers": [node]}, {"status_code": 200, "data": {"producers": [node]}}):
        with Server(answers(json.dumps(answer).encode())) as server:
            metric = NSQMetric("mails", "workers", lookup=server.endpoint)
            metric.current = 5
            look(metric)()
            metric.source.close()
            assert metric.current == 0


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"producers": [{}]}', b'{"producers": 5}', b"<html>"])
def test_another_answer_than_that_of_nsqlookupd_is_an_error(answer: bytes, look: Any) -> None:  # noqa: F811
    with Server(answers(answer)) as server:
        metric = NSQMetric("mails", "workers", lookup=server.endpoint)
        with pytest.raises(MetricError, match="not an answer of nsqlookupd"):
            look(metric)()
        metric.source.close()


def test_a_misspelt_topic_is_said_once(
    two: list[Nsqd],
    look: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    put(two[1], 1)
    measure = look(NSQMetric("mial", "workers", ",".join(nsqd.endpoint for nsqd in two)))
    other = look(NSQMetric("mail", "workers", ",".join(nsqd.endpoint for nsqd in two)))
    for _ in range(3):
        measure()
        other()
    [line] = [message for message in caplog.messages if "since the start" in message]
    assert 'the topic "mail" has not existed since the start, but "mails" exists' in line


def test_one_of_both_ways_is_needed() -> None:
    values = {"topicName": "t", "channelName": "c", "nsqd": "a:1", "nsqlookupd": "b:2"}
    with pytest.raises(ConfigError, match="leave one of nsqd and nsqlookupd out"):
        NSQMetric.from_config(values, Settings())
    source = NSQMetric.from_config({**values, "nsqlookupd": ""}, Settings()).source
    assert source.name == "NSQ at http://a:1"


@pytest.mark.parametrize("listed", ["a:1,,b:2", "a:1,ftp://b", "a:1,http://u:hunter22/x@b:1"])
def test_a_bad_list_is_a_bad_setting(listed: str) -> None:
    with pytest.raises(ConfigError, match=r"^NSQ_STATS_ENDPOINT: expected host:port") as caught:
        NSQMetric("t", "c", listed).source.check()
    assert "hunter22" not in str(caught.value)
