"""A consumer of JetStream in every state of a real NATS; the truth is what the test has done."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement
from microscaling.metric.jet_stream import JetStreamMetric
from tests.frameworks.conftest import look  # noqa: F401
from tests.frameworks.stage import until
from tests.metric.faulty import Server, answers
from tests.services.nats import NATS, cluster
from tests.services.service import wait_for


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NATS]:
    with NATS(tmp_path_factory.mktemp("nats")) as nats:
        yield nats


def test_every_state(nats: NATS, look: Any) -> None:  # noqa: F811
    measure = look(JetStreamMetric(nats.url, "MAIL", "workers"))
    with pytest.raises(MetricError, match="stream MAIL of NATS: there is no such stream"):
        measure()
    nats.stream("MAIL", retention="workqueue")
    with pytest.raises(MetricError, match="consumer workers of the stream MAIL of NATS does not exist"):
        measure()
    nats.consumer("MAIL", "workers", ack_wait=2_000_000_000, max_deliver=2)
    assert measure() == Measurement(0, 0), "it is empty"
    nats.put("MAIL", 6)
    until(measure, Measurement(6, 0))  # a consumer counts what its stream has stored a moment later
    taken = nats.take("MAIL", "workers", 4)
    until(measure, Measurement(2, 4))
    nats.publish(taken[0], "+ACK")
    until(measure, Measurement(2, 3))
    nats.publish(taken[1], '-NAK {"delay": 3600000000000}')
    until(measure, Measurement(2, 3))  # a retry for later stays with those that run

    until_when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    pause = "$JS.API.CONSUMER.PAUSE.MAIL.workers"
    nats.request(pause, {"pause_until": until_when.isoformat()})
    until(measure, Measurement(2, 3, paused=True))
    nats.request(pause, {})
    until(measure, Measurement(2, 3))


def test_the_jobs_of_a_dead_worker_run_until_another_one_fetches(nats: NATS, look: Any) -> None:  # noqa: F811
    measure = look(JetStreamMetric(nats.url, "DEAD", "workers"))
    nats.stream("DEAD")
    nats.consumer("DEAD", "workers", ack_wait=200_000_000, max_deliver=1)
    nats.put("DEAD", 3)
    nats.take("DEAD", "workers", 2)  # and the worker is gone
    until(measure, Measurement(1, 2))
    nats.take("DEAD", "workers", 1)
    wait_for(lambda: _fetches_nothing(nats, "DEAD") and measure() == Measurement(0, 0))
    # Each was delivered as often as it may be: it is in the stream, and no worker gets it.


def _fetches_nothing(nats: NATS, stream: str) -> bool:
    asked = {"batch": 1, "no_wait": True}
    [(reply, _)] = nats.requests(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.workers", asked, 1)
    return not reply


def test_one_of_many_is_found_by_its_name(nats: NATS, look: Any) -> None:  # noqa: F811
    for stream, count in (("A", 2), ("B", 5), ("C", 1)):
        nats.queue(stream, "workers", count)
    nats.consumer("B", "others")
    metrics = [JetStreamMetric(nats.url, *of) for of in (("B", "workers"), ("A", "workers"), ("B", "others"))]
    first = metrics[0].source
    look(metrics[0])
    for metric in metrics[1:]:
        assert metric.source.key == first.key  # type: ignore[union-attr]
        first.also(metric.source)  # type: ignore[arg-type, union-attr]
    expected = [Measurement(count, 0, arrived=count) for count in (5, 2, 5)]

    def read() -> list[Measurement]:
        answer = first.fetch()  # type: ignore[union-attr]
        return [metric.read(answer) for metric in metrics]

    until(read, expected)
    for _ in range(5):
        assert read() == expected


def test_what_is_missing_may_be_empty_but_never_the_account(nats: NATS, look: Any) -> None:  # noqa: F811
    nats.stream("LONELY")
    nats.put("LONELY", 3)
    none = JetStreamMetric(nats.url, "LONELY", "none")
    none.missing = "empty"
    look(none)()
    assert none.current == 0
    other = JetStreamMetric(nats.url, "LONELY", "none", "OTHER")
    other.missing = "empty"
    with pytest.raises(MetricError, match="there is no account OTHER with JetStream"):
        look(other)()


def test_a_cluster_is_asked_until_the_leader_answers(tmp_path: Path, look: Any) -> None:  # noqa: F811
    """Those that follow say 0 for what is pending, so only the leader of the consumer itself counts."""
    with cluster(tmp_path) as servers:
        first = servers[0]
        wait_for(lambda: _created(first))
        first.consumer("JOBS", "workers")
        first.put("JOBS", 20)
        first.take("JOBS", "workers", 5)
        metric = JetStreamMetric(",".join(server.url for server in servers), "JOBS", "workers")
        measure = look(metric)
        until(measure, Measurement(15, 5))
        for _ in range(3):
            before = _leader(first)
            first.request("$JS.API.CONSUMER.LEADER.STEPDOWN.JOBS.workers")
            wait_for(lambda before=before: _leader(first) not in ("", before))
            wait_for(lambda: _sure(measure) == Measurement(15, 5))
        follower = next(server for server in servers if f"n{servers.index(server)}" != _leader(first))
        alone = look(JetStreamMetric(follower.url, "JOBS", "workers"))
        with pytest.raises(MetricError, match=r"is led by the server n\d, which is not among those in url"):
            alone()
        follower.__exit__()
        wait_for(lambda: _sure(measure) == Measurement(15, 5))


def _created(server: NATS) -> bool:
    try:
        server.stream("JOBS", num_replicas=3)
    except AssertionError:
        return False  # the servers have not found each other yet
    return True


def _leader(server: NATS) -> str:
    # The API has no answer while there is no leader.
    [account] = server.jsz("?acc=$G&consumers=true")["account_details"]
    found = [one for stream in account["stream_detail"] for one in stream.get("consumer_detail", ())]
    return str(found[0]["cluster"].get("leader", "")) if found else ""


def _sure(measure: Any) -> Measurement | None:
    """While a leader is elected there is an error."""
    try:
        found: Measurement | None = measure()
    except MetricError:
        return None
    assert found in (Measurement(15, 5), None)
    return found


@pytest.mark.parametrize(
    "answer",
    [b"{}", b"[]", b'{"server_id": "N", "account_details": [{}]}', b'{"server_id": "N", "disabled": true}'],
)
def test_another_answer_is_an_error(answer: bytes, look: Any) -> None:  # noqa: F811
    with Server(answers(answer)) as server:
        metric = JetStreamMetric(server.url("").rstrip("/"), "JOBS", "workers")
        with pytest.raises(MetricError, match=r"not an answer of NATS' /jsz|JetStream is not enabled"):
            look(metric)()
        metric.source.close()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "url", ["nats://nats:4222", "http://nats:8222/?x=1", "http://a:1,,http://b:1", "http://u:secret@x y"]
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected the URL of the monitoring port") as caught:
        JetStreamMetric(url, "JOBS", "workers")
    assert "secret" not in str(caught.value)
