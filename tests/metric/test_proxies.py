"""The load of real proxies: what their numbers mean, and what a restart does to them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.caddy import CaddyMetric
from microscaling.metric.haproxy import HAProxyMetric, backends
from microscaling.metric.nginx_status import NginxStatusMetric
from microscaling.metric.rate import Rate
from microscaling.metric.traefik import TraefikMetric
from tests.metric.faulty import Server, response
from tests.services.proxies import Caddy, HAProxy, Holding, Nginx
from tests.services.service import wait_for


@pytest.fixture
def holding() -> Iterator[Holding]:
    with Holding() as made:
        yield made


def measured(metric: object) -> tuple[int, int]:
    metric.update()  # type: ignore[attr-defined]
    found = metric.measured  # type: ignore[attr-defined]
    metric.source.close()  # type: ignore[attr-defined]
    return found.waiting, found.running


def test_haproxy_counts_what_waits_apart_from_what_is_open(tmp_path: Path, holding: Holding) -> None:
    """Its sessions of a backend are all of them, those in the queue included."""
    with HAProxy(tmp_path, holding.port) as proxy:
        of_page = HAProxyMetric(f"{proxy.url}/stats", "web")
        of_socket = HAProxyMetric(f"tcp://127.0.0.1:{proxy.socket_port}", "web")
        proxy.open(11)  # the server takes eight
        wait_for(lambda: holding.held == 8)
        for metric in (of_page, of_socket):
            wait_for(lambda: measured(metric) == (3, 8))  # noqa: B023
        proxy.finish(holding.let_go)
        wait_for(lambda: measured(of_page) == (0, 0))


def test_haproxy_counts_requests_a_second(tmp_path: Path, holding: Holding) -> None:
    with HAProxy(tmp_path, holding.port) as proxy:
        metric = HAProxyMetric(f"{proxy.url}/stats", "web", "perSecond")

        def rate() -> int:
            metric.update()
            return metric.current

        def busy() -> int:
            proxy.request(20)
            return rate()

        # Once, but for a machine so busy that they are a second ago when it is asked.
        assert wait_for(busy) <= 40  # those that asked whether it is ready, too
        wait_for(lambda: rate() == 0)
        assert metric.source is not None
        metric.source.close()


def test_a_backend_that_is_not_there_is_no_zero(tmp_path: Path, holding: Holding) -> None:
    with HAProxy(tmp_path, holding.port) as proxy:
        metric = HAProxyMetric(f"{proxy.url}/stats", "webb")
        with pytest.raises(MetricError, match=r"HAProxy has no backend webb; is web meant\?"):
            metric.update()
        assert metric.source is not None
        metric.source.close()


def test_nginx_counts_without_the_question_itself(tmp_path: Path, holding: Holding) -> None:
    with Nginx(tmp_path, holding.port) as proxy:
        metric = NginxStatusMetric(f"{proxy.url}/nginx_status")
        wait_for(lambda: measured(metric) == (0, 0))
        proxy.open(3)
        wait_for(lambda: measured(metric) == (0, 3))
        proxy.finish(holding.let_go)
        wait_for(lambda: measured(metric) == (0, 0))


def test_the_rate_of_nginx_begins_anew_when_that_is_started_anew(tmp_path: Path, holding: Holding) -> None:
    with Nginx(tmp_path, holding.port) as proxy:
        metric = NginxStatusMetric(f"{proxy.url}/nginx_status", "perSecond")
        proxy.request(30)
        with pytest.raises(MetricError, match="a rate needs a second reading"):
            metric.update()
        time.sleep(0.5)
        proxy.request(5)
        metric.update()
        assert 1 <= metric.current <= 13  # so many in half a second or more, with the two questions
        proxy.__exit__()
        with Nginx(tmp_path, holding.port) as again:
            assert metric.source is not None
            metric.source.close()
            other = NginxStatusMetric(f"{again.url}/nginx_status", "perSecond")
            other._rate = metric._rate
            with pytest.raises(MetricError, match="a rate needs a second reading"):
                other.update()
            other.source.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("host", ["", "127.0.0.1"])
def test_caddy_counts_what_it_passes_on(tmp_path: Path, holding: Holding, host: str) -> None:
    caddy = Caddy(tmp_path, holding.port)
    caddy.host = host
    with caddy as proxy:
        metric = CaddyMetric(f"{proxy.url}/metrics")
        proxy.open(4)
        wait_for(lambda: measured(metric) == (0, 4))
        proxy.finish(holding.let_go)
        wait_for(lambda: measured(metric) == (0, 0))
        of_server = CaddyMetric(f"{proxy.url}/metrics", "srv7")
        with pytest.raises(MetricError, match='handler="reverse_proxy" or handler="subroute", server="srv7"'):
            of_server.update()
        of_server.source.close()
        rate = CaddyMetric(f"{proxy.url}/metrics", measure="perSecond")
        with pytest.raises(MetricError, match="a rate needs a second reading"):
            rate.update()
        time.sleep(0.5)
        proxy.request(5)
        rate.update()
        assert 1 <= rate.current <= 10
        rate.source.close()


TRAEFIK = b"""\
# TYPE traefik_service_open_connections gauge
traefik_service_open_connections{method="GET",protocol="http",service="web@docker"} 3
traefik_service_open_connections{method="POST",protocol="http",service="web@docker"} 2
traefik_service_open_connections{method="GET",protocol="http",service="other@docker"} 40
# TYPE traefik_service_requests_total counter
traefik_service_requests_total{code="200",method="GET",protocol="http",service="web@docker"} 700
"""
"""As its documentation has it ("Metrics", version 2.11)."""


def test_traefik_as_its_documentation_has_it() -> None:
    def answer(server: Server, sock: object) -> bool:
        sock.sendall(response(TRAEFIK, "200 OK", "Content-Type: text/plain"))  # type: ignore[attr-defined]
        return True

    with Server(answer) as server:
        assert measured(TraefikMetric(server.url("/metrics"), "web@docker")) == (0, 5)
        rate = TraefikMetric(server.url("/metrics"), "web@docker", "perSecond")
        with pytest.raises(MetricError, match="a rate needs a second reading"):
            rate.update()
        rate.source.close()


def test_rates() -> None:
    rate = Rate()
    with pytest.raises(MetricError):
        rate.of(1000, "x", 0.0)
    assert [rate.of(1000 + 4 * second, "x", float(second)) for second in range(1, 30)] == [4] * 29
    assert rate.of(1116, "x", 40.0) == math.ceil(0 / 10)
    with pytest.raises(MetricError):
        rate.of(3, "x", 41.0)  # it was started anew
    assert rate.of(9, "x", 43.0) == 3
    with pytest.raises(MetricError):
        rate.of(5000, "x", 300.0)  # after an outage


@pytest.mark.parametrize(
    "url", ["haproxy:8404", "unix:///run/haproxy.sock", "tcp://haproxy", "tcp://haproxy:1/x", "ftp://h"]
)
def test_urls_of_haproxy(url: str) -> None:
    with pytest.raises(ConfigError, match="expected http://haproxy:8404/stats, or tcp://"):
        HAProxyMetric(url, "web")


@pytest.mark.parametrize("text", [b"", b"<html>", b"# pxname,svname,qcur", b"\xff\xfe"])
def test_other_texts_are_no_statistics(text: bytes) -> None:
    with pytest.raises(MetricError, match="not the statistics of HAProxy as CSV, or cut off"):
        backends(text, "haproxy")
