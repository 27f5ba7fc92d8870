"""Proxies, of which the open requests are measured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from microscaling.metric.base import Metric
from microscaling.metric.caddy import CaddyMetric
from microscaling.metric.haproxy import HAProxyMetric
from microscaling.metric.nginx_status import NginxStatusMetric
from microscaling.metric.traefik import TraefikMetric
from tests.contract.measured.base import Remote
from tests.metric.faulty import Server, response
from tests.metric.proxy import OF_ANY, instead, page, pours
from tests.services.proxies import Caddy, HAProxy, Holding, Nginx, Proxied
from tests.services.service import wait_for

OPEN = TraefikMetric.in_flight.encode()
COLUMNS = b"# pxname,svname,qcur,scur,rate,\n"


class _Proxy(Remote):
    proxy: type[Proxied]
    settles = True

    def start(self) -> None:
        self.holding = self.stack.enter_context(Holding())
        self.server = self.stack.enter_context(self.proxy(self.folder, self.holding.port))
        self.url = self.server.url

    @contextlib.contextmanager
    def connected(self) -> Iterator[object]:
        # The requests of one test are over before the next begins.
        with super().connected() as way:
            try:
                yield way
            finally:
                self.server.finish(self.holding.let_go)
                self.holding.join()

    def set(self, count: int) -> None:
        self.server.finish(self.holding.let_go)
        self.server.open(count)
        wait_for(lambda: self.holding.held >= min(count, 8))


class HAProxyPage(_Proxy):
    type_name, proxy = "HAProxy", HAProxy

    def metric(self) -> Metric:
        metric = HAProxyMetric(f"{self.way}/stats", "web")
        metric.with_running = True
        return metric


class HAProxySocket(_Proxy):
    type_name, proxy = "HAProxy", HAProxy
    faults = OF_ANY | {
        "a page of something else": page("200 OK", "0"),
        "an error": instead(b"Permission denied\n\n"),
        "not a number": instead(COLUMNS + b"web,BACKEND,one,0,0,\n\n"),
        "negative": instead(COLUMNS + b"web,BACKEND,-1,0,0,\n\n"),
        "too large": instead(COLUMNS + b"web,BACKEND,%b,0,0,\n\n" % (b"9" * 17)),
        "another backend": instead(COLUMNS + b"other,BACKEND,0,0,0,\n\n"),
        "endless line": pours(b"", b"0" * 65536),
        "endless lines": pours(COLUMNS, b"web,BACKEND,5,0,0,\n" * 1000),
    }

    def start(self) -> None:
        super().start()
        assert isinstance(self.server, HAProxy)
        self.url = f"tcp://127.0.0.1:{self.server.socket_port}"

    def metric(self) -> Metric:
        metric = HAProxyMetric(self.way, "web")
        metric.with_running = True
        return metric


class NginxPage(_Proxy):
    type_name, proxy = "NginxStatus", Nginx

    def metric(self) -> Metric:
        metric = NginxStatusMetric(f"{self.way}/nginx_status")
        metric.with_running = True
        return metric


class CaddyText(_Proxy):
    type_name, proxy = "Caddy", Caddy

    def metric(self) -> Metric:
        metric = CaddyMetric(f"{self.way}/metrics")
        metric.with_running = True
        return metric


class TraefikText(Remote):
    """The text of its documentation, as there is no Traefik here."""

    type_name = "Traefik"

    def start(self) -> None:
        self.count = 0
        self.url = self.stack.enter_context(Server(self._answer)).url("")

    def metric(self) -> Metric:
        metric = TraefikMetric(f"{self.way}/metrics", "web@docker")
        metric.with_running = True
        return metric

    def set(self, count: int) -> None:
        self.count = count

    def _answer(self, server: Server, sock: Any) -> bool:
        sock.sendall(response(b'%s{service="web@docker"} %d\n' % (OPEN, self.count)))
        return True


KINDS = (HAProxyPage, HAProxySocket, NginxPage, CaddyText, TraefikText)
