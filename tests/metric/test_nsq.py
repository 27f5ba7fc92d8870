"""The length of an NSQ queue, from real answers of real servers, good and bad."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from microscaling.errors import ConfigError
from microscaling.metric import missing
from microscaling.metric.base import MetricError
from microscaling.metric.measurement import Measurement
from microscaling.metric.nsq import NSQMetric
from microscaling.metric.nsq_stats import NSQSource, parse_stats
from tests.metric.faulty import Server, answers, faults
from tests.metric.nsqd import Nsqd, wait_for


def stats(*topics, version="v1.3.0"):
    """nsqd's answer; a topic is (name, depth, {channel: depth})."""
    listed = [
        {
            "topic_name": name,
            "depth": depth,
            "channels": [{"channel_name": c, "depth": d, "clients": []} for c, d in channels.items()],
        }
        for name, depth, channels in topics
    ]
    return {"version": version, "health": "OK", "start_time": 1, "topics": listed}


def body(answer) -> bytes:
    return json.dumps(answer).encode()


DEMO = stats(("demo", 3, {"a": 12, "b": 0}), ("other", 8, {"demo": 99}))
OLD = {"status_code": 200, "status_txt": "OK", "data": {k: DEMO[k] for k in ("version", "topics")}}


def metric(topic="demo", channel="a", endpoint="127.0.0.1:1"):
    return NSQMetric(topic, channel, endpoint)


@pytest.mark.parametrize("answer", [DEMO, OLD], ids=["1.0 and later", "before 1.0"])
@pytest.mark.parametrize(
    ("topic", "channel", "depth"),
    [("demo", "a", 12), ("demo", "b", 0), ("demo", "new", 3), ("other", "demo", 99), ("other", "a", 8)],
)
def test_depth(answer, topic, channel, depth):
    assert metric(topic, channel).read(parse_stats(body(answer))) == depth


@pytest.mark.parametrize(
    ("count", "in_flight"), [(3, 3), (0, 0), (None, None), (-1, None), ("3", None), (True, None), (1.5, None)]
)
def test_messages_in_flight_are_known_if_nsqd_says_so(count, in_flight):
    answer = stats(("demo", 3, {"a": 12}))
    answer["topics"][0]["channels"][0]["in_flight_count"] = count
    read = metric().read(parse_stats(body(answer)))
    assert read == (12 if in_flight is None else Measurement(12, in_flight))


def test_messages_for_later_are_known() -> None:
    answer = stats(("demo", 3, {"a": 12}))
    answer["topics"][0]["channels"][0] |= {"in_flight_count": 2, "deferred_count": 7}
    assert metric().read(parse_stats(body(answer))) == Measurement(12, 2, future=7)


@pytest.mark.parametrize("none", [None, []])
def test_what_go_writes_for_an_empty_list(none):
    assert parse_stats(body({"topics": none})).topics == {}
    topic = {"topic_name": "demo", "depth": 4, "channels": none}
    assert metric().read(parse_stats(body({"topics": [topic]}))) == 4


def test_a_missing_topic_is_empty_and_is_said_once(caplog):
    caplog.set_level(logging.INFO, "mssmetric")
    nsq = metric()
    assert [nsq.read(parse_stats(body(stats()))) for _ in range(3)] == [0, 0, 0]
    nsq.current = nsq.read(parse_stats(body(DEMO)))
    assert [nsq.read(parse_stats(body(stats()))) for _ in range(3)] == [0, 0, 0]
    assert caplog.messages == [
        "NSQ topic demo does not exist: counts as 0 for now",
        "NSQ topic demo exists now",
        "NSQ topic demo does not exist: counts as 0 for now",
    ]


@pytest.mark.parametrize(
    ("topic", "channel", "said"),
    [
        ("gone", "a", "NSQ topic gone does not exist"),
        ("demo", "workr", "NSQ channel workr of topic demo does not exist"),
    ],
)
def test_what_is_missing_may_hold_the_task(topic, channel, said):
    nsq = metric(topic, channel)
    nsq.missing = "held"
    with pytest.raises(MetricError, match=f"^{said}$"):
        nsq.read(parse_stats(body(DEMO)))


def test_a_topic_without_channels_is_what_waits_even_if_a_missing_one_would_hold():
    nsq = metric("fresh", "a")
    nsq.missing = "held"
    assert nsq.read(parse_stats(body(stats(("fresh", 5, {}))))) == 5


def test_what_waits_in_a_paused_topic_counts():
    paused = stats(("demo", 3, {"a": 12}))
    paused["topics"][0]["paused"] = True
    assert metric().read(parse_stats(body(paused))) == 15
    paused["topics"][0]["depth"] = None
    with pytest.raises(MetricError, match=r"^depth of demo: "):
        metric().read(parse_stats(body(paused)))


DEPTHS = ["-1", "1.5", "NaN", "Infinity", "-Infinity", "1e400", "9" * 400, "9007199254740993", "null",
          '"12"', "true", "[]", "{}"]  # fmt: skip


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channel", ["a", "new"])
def test_a_depth_that_cannot_be_is_an_error(depth, channel):
    text = body(stats(("demo", "HERE", {"a": "HERE"}), ("good", 1, {}))).replace(b'"HERE"', depth.encode())
    depths = parse_stats(text)
    with pytest.raises(MetricError, match=r"^depth of demo/"):
        metric(channel=channel).read(depths)
    assert metric("good").read(depths) == 1


def test_a_depth_left_out_is_an_error():
    with pytest.raises(MetricError):
        metric().read(parse_stats(body({"topics": [{"topic_name": "demo"}]})))


NOT_STATS = {
    "empty": b"",
    "half": body(DEMO)[:-9],
    "html": b"<!DOCTYPE html><html><body>depth: 0</body></html>",
    "text": b"nsqd v1.3.0\ndepth: 0",
    "not utf-8": b'{"topics": "\xff"}',
    "number": b"0",
    "huge number": b"9" * 5000,
    "list": b"[]",
    "null": b"null",
    "string": b'"topics"',
    "no topics": b"{}",
    "topics a number": b'{"topics": 0}',
    "topics an object": b'{"topics": {}}',
    "topics a string": b'{"topics": "demo"}',
    "topic a string": b'{"topics": ["demo"]}',
    "topic null": b'{"topics": [null]}',
    "topic without a name": b'{"topics": [{"depth": 1}]}',
    "topic with a list for a name": b'{"topics": [{"topic_name": [], "depth": 1}]}',
    "channels a number": b'{"topics": [{"topic_name": "demo", "depth": 1, "channels": 5}]}',
    "channel without a name": b'{"topics": [{"topic_name": "demo", "depth": 1, "channels": [{}]}]}',
    "old error": b'{"status_code": 500, "status_txt": "INTERNAL_ERROR", "data": null}',
    "old without data": b'{"status_code": 200, "data": null}',
    "error": b'{"message": "NOT_FOUND"}',
    "deep": b"[" * 200_000,
}


@pytest.mark.parametrize("answer", NOT_STATS)
def test_anything_else_is_an_error(answer):
    with Server(answers(NOT_STATS[answer])) as server:
        nsq = metric(endpoint=server.endpoint)
        nsq.current = 5
        with pytest.raises(MetricError, match=server.endpoint):
            nsq.update()
        nsq.source.close()
    assert nsq.current == 5


FAULTS = faults(body(DEMO))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_error_within_the_deadline_and_never_a_zero(fault):
    with Server(FAULTS[fault]) as server:
        nsq = metric(endpoint=server.endpoint)
        nsq.current = 5
        nsq.source = NSQSource(server.endpoint, deadline_s=0.4)
        with pytest.raises(MetricError):
            nsq.update()
        nsq.source.close()
    assert nsq.current == 5


def test_it_asks_what_the_go_agent_asked_but_for_no_more_than_it_needs():
    with Server(answers(body(DEMO))) as server:
        nsq = metric(endpoint=server.endpoint)
        nsq.update()
        nsq.update()
        nsq.source.close()
    assert nsq.current == 12
    asked = (
        b"GET /stats?format=json&include_clients=false&include_mem=false&topic=demo&channel=a HTTP/1.1\r\n"
    )
    assert server.heads[0].startswith(asked)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("others", "asked"),
    [
        ([("demo", "a")], "&topic=demo&channel=a "),
        ([("demo", "b")], "&topic=demo "),
        ([("other", "a")], "&include_mem=false "),
        ([("demo", "b"), ("other", "a")], "&include_mem=false "),
    ],
)
def test_what_several_tasks_need_is_asked_for_at_once(others, asked):
    with Server(answers(body(DEMO))) as server:
        nsq = metric(endpoint=server.endpoint)
        for other in others:
            nsq.source.also(metric(*other, server.endpoint).source)
        nsq.source.fetch()
        nsq.source.close()
    assert asked in server.heads[0].decode().splitlines()[0]
    assert len(server) == 1


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (None, "http://127.0.0.1:4151/stats?format=json"),
        ("", "http://127.0.0.1:4151/stats?format=json"),
        ("nsq:80", "http://nsq:80/stats?format=json"),
        ("https://nsq/", "https://nsq/stats?format=json"),
    ],
)
def test_the_endpoint_comes_from_the_environment(value, url, monkeypatch):
    monkeypatch.delenv("NSQ_STATS_ENDPOINT", raising=False)
    if value is not None:
        monkeypatch.setenv("NSQ_STATS_ENDPOINT", value)
    assert NSQMetric("t", "c").source.url == url


def test_tasks_of_one_endpoint_share_a_source_and_others_do_not():
    mine, neighbour, stranger = metric("a", "b", "x:1"), metric("c", "d", "x:1"), metric("a", "b", "y:1")
    assert mine.source.key == neighbour.source.key != stranger.source.key


@pytest.mark.parametrize(
    "endpoint",
    ["me:hunter22/x@nsq:1", "ftp://nsq", "nsq:port", "${NSQ}:4151", "http://nsq/?x=hunter22", "a b"],
)
def test_a_bad_endpoint_is_a_bad_setting(endpoint):
    with pytest.raises(ConfigError, match=r"^NSQ_STATS_ENDPOINT: expected host:port") as error:
        metric(endpoint=endpoint).source.check()
    assert "hunter22" not in str(error.value)


def test_credentials_are_not_in_the_name():
    assert metric(endpoint="http://me:s3cret@nsq:4151").source.name == "NSQ at http://nsq:4151"


def test_requests_is_not_loaded_before_the_first_question():
    make = "from microscaling.metric.nsq import NSQMetric; NSQMetric('t', 'c')"
    code = f"import sys; {make}; print('requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.fixture
def nsqd(tmp_path):
    with Nsqd(tmp_path) as nsqd:
        yield nsqd


def test_a_real_nsqd(nsqd):
    nsq = metric("jobs", "work", nsqd.endpoint)
    nsq.update()
    assert nsq.current == 0
    nsqd.post("/pub?topic=jobs", b"one")
    nsqd.post("/mpub?topic=jobs", b"two\nthree\nfour")
    nsq.update()
    assert nsq.current == 4  # there is no channel yet: what waits is in the topic
    nsqd.post("/channel/create?topic=jobs&channel=work")
    wait_for(lambda: nsq.update() or nsq.current == 4)
    nsqd.post("/channel/empty?topic=jobs&channel=work")
    wait_for(lambda: nsq.update() or nsq.current == 0)
    nsq.source.close()


def test_an_answer_of_a_real_nsqd_at_rest_is_not_read_anew(nsqd):
    nsqd.post("/topic/create?topic=jobs")
    nsqd.post("/channel/create?topic=jobs&channel=work")
    nsq = metric("jobs", "work", nsqd.endpoint)
    wait_for(lambda: ("jobs", "work") in nsq.source.fetch().channels)
    first = nsq.source.fetch()
    assert all(nsq.source.fetch() is first for _ in range(3))
    # The head of an answer has the time, in seconds.
    wait_for(lambda: nsq.source.fetch() is first and nsq.source.unchanged())
    nsqd.post("/mpub?topic=jobs", b"one\ntwo")
    wait_for(lambda: nsq.update() or nsq.current == 2)
    assert nsq.source.fetch() is not first
    nsqd.post("/pub?topic=jobs", b"three")
    wait_for(lambda: not nsq.source.unchanged() and nsq.source.fetch().channels == {("jobs", "work"): 3})
    nsq.source.ask_for([("jobs", "other")])  # another question, with the same answer but for the new channel
    assert not nsq.source.unchanged()
    assert nsq.source.fetch().channels == {("jobs", "work"): 3}
    nsq.source.close()


def test_a_real_topic_that_is_paused_or_gone(nsqd):
    nsqd.post("/topic/create?topic=jobs")
    nsqd.post("/channel/create?topic=jobs&channel=work")
    nsqd.post("/mpub?topic=jobs", b"one\ntwo")
    nsq = metric("jobs", "work", nsqd.endpoint)
    wait_for(lambda: nsq.update() or nsq.current == 2)
    nsqd.post("/topic/pause?topic=jobs")
    nsqd.post("/mpub?topic=jobs", b"three\nfour\nfive")
    wait_for(lambda: nsq.update() or nsq.current == 5)
    nsqd.post("/topic/delete?topic=jobs")
    nsq.update()
    assert nsq.current == 0
    nsq.source.close()


def test_a_real_channel_that_comes_goes_and_comes_again(nsqd):
    """nsqd says nothing of a topic when it is asked for a channel that is missing."""
    nsqd.post("/topic/create?topic=jobs")
    nsqd.post("/mpub?topic=jobs", b"one\ntwo")
    nsq = metric("jobs", "work", nsqd.endpoint)
    for _ in range(2):
        nsq.update()
        assert nsq.current == 2
        nsqd.post("/channel/create?topic=jobs&channel=work")
        wait_for(lambda: "work" in nsq.source.fetch().channels_of("jobs"))
        wait_for(lambda: nsq.update() or nsq.current == 2)
        nsqd.post("/channel/delete?topic=jobs&channel=work")
        nsq.update()
        assert nsq.current == 0
        nsqd.post("/mpub?topic=jobs", b"three\nfour")
    nsq.source.close()


@pytest.mark.parametrize(
    ("queue", "said"),
    [
        (
            ("jbos", "work"),
            'the topic "jbos" has not existed since the start, but "jobs" exists: is that the right name?',
        ),
        (("jobs", "wrok"), 'the channel "wrok" has not existed since the start, but "work" exists: is that'),
        (("jobs", "work"), ""),
        (("zebra", "work"), ""),
    ],
)
def test_a_misspelt_name_is_said_once(nsqd, queue, said, monkeypatch, caplog):
    monkeypatch.setattr(missing, "HINT_AFTER_S", 0.0)
    nsqd.post("/topic/create?topic=jobs")
    nsqd.post("/channel/create?topic=jobs&channel=work")
    nsqd.post("/topic/create?topic=mail")
    nsq = metric(*queue, nsqd.endpoint)
    for _ in range(3):
        nsq.update()
    nsq.source.close()
    hints = [message for message in caplog.messages if "since the start" in message]
    assert len(hints) == bool(said)
    assert all(f"NSQ at http://{nsqd.endpoint}: {said}" in hint for hint in hints)
