"""The metric of a Caddy, from the text of its metrics (admin endpoint, or the handler `metrics`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.http import HEADERS, URL
from microscaling.metric.proxy_series import ProxySeriesMetric
from microscaling.metric.rate import MEASURE
from microscaling.plugins import Field
from microscaling.settings import Settings

HANDLERS = "reverse_proxy", "subroute"
"""Those that count a request. A site whose address has a host name has its handlers in a "subroute", which
counts for them; the others of a site without one, such as "encode", count each request once more."""


class CaddyMetric(ProxySeriesMetric):
    """The requests that a Caddy passes on, of all its servers or of one."""

    type_name, summary = "Caddy", "the requests that a Caddy passes on"
    fields = (
        URL,
        Field(
            "server", "Server", hint="such as srv0, as Caddy names them in the order of the file; empty: all"
        ),
        MEASURE,
        HEADERS,
    )
    in_flight = "caddy_http_requests_in_flight"
    requests = "caddy_http_request_duration_seconds_count"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> CaddyMetric:
        return cls(values["url"], values["server"], values["measure"], values["headers"])

    def __init__(
        self, url: str, server: str = "", measure: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        of_server = {"server": [server]} if server else {}
        super().__init__(url, {"handler": HANDLERS, **of_server}, measure, headers)


TYPE = CaddyMetric
