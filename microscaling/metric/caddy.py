"""The metric of a Caddy, from the text of its metrics (admin endpoint, or the handler `metrics`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.http import HEADERS, URL
from microscaling.metric.proxy_series import ProxySeriesMetric
from microscaling.metric.rate import MEASURE
from microscaling.plugins import Field
from microscaling.settings import Settings

HANDLER = "reverse_proxy"


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
        super().__init__(url, {"handler": HANDLER, "server": server}, measure, headers)


TYPE = CaddyMetric
