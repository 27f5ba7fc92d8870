"""The metric of a service of Traefik, from the text of its Prometheus metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.metric.http import HEADERS, URL
from microscaling.metric.proxy_series import ProxySeriesMetric
from microscaling.metric.rate import MEASURE
from microscaling.plugins import Field
from microscaling.settings import Settings


class TraefikMetric(ProxySeriesMetric):
    """The requests of a service of Traefik. Version 3 has no series of the open ones by service."""

    type_name, summary = "Traefik", "the requests of a service of Traefik"
    fields = (
        URL,
        Field("service", "Service", required=True, hint="with its provider: web@docker"),
        MEASURE,
        HEADERS,
    )
    in_flight = "traefik_service_open_connections"
    requests = "traefik_service_requests_total"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> TraefikMetric:
        return cls(values["url"], values["service"], values["measure"], values["headers"])

    def __init__(
        self, url: str, service: str, measure: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(url, {"service": [service]}, measure, headers)


TYPE = TraefikMetric
