"""The measuring intervals of known HTTP APIs: a request within the interval gives no newer number.

Observed with RabbitMQ 3.10 and Prometheus 2.42.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

RABBITMQ_S = 5.0
"""RabbitMQ collects its statistics every 5 s (collect_statistics_interval), and a quorum queue's totals,
too."""
PROMETHEUS_S = 15.0
"""The scrape interval in Prometheus' own example; `intervalSeconds` overrides it."""


def pace_s(url: str, answer: Any) -> float:
    """Returns the seconds between two measurements behind this URL's answers; 0 if no interval is known."""
    if _of_prometheus(answer) is not None:
        return PROMETHEUS_S
    parts = urlsplit(url)
    if "/api/queues" not in parts.path:
        return 0.0
    queues = [queue for queue in _queues(answer) if "messages" in queue or "messages_ready" in queue]
    if not queues:
        return 0.0
    # Without statistics RabbitMQ counts a classic queue at each request; a quorum queue's totals stay old.
    counts_now = parse_qs(parts.query).get("disable_stats") == ["true"]
    quorum = any(queue.get("type") == "quorum" for queue in queues)
    return RABBITMQ_S if quorum or not counts_now else 0.0


def stamp_of(answer: Any) -> float | None:
    """Returns the time of the value (Unix seconds) in an answer of Prometheus' HTTP API; None without one."""
    data = _of_prometheus(answer)
    if data is None:
        return None
    result = data["result"]
    if data["resultType"] == "vector":
        first = result[0] if result else None
        result = first.get("value") if isinstance(first, Mapping) else None
    stamp = result[0] if isinstance(result, list) and result else None
    return float(stamp) if isinstance(stamp, (int, float)) and not isinstance(stamp, bool) else None


def _of_prometheus(answer: Any) -> Mapping[str, Any] | None:
    """Returns the data of an instant query (HTTP API, "Instant queries"), a vector or a scalar; None for any
    other answer."""
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, Mapping) or data.get("resultType") not in ("vector", "scalar"):
        return None
    return data if isinstance(data.get("result"), list) else None


def _queues(answer: Any) -> list[Mapping[str, Any]]:
    """Returns the queues in an answer of RabbitMQ: one queue, a list of them, or a page of the list."""
    if isinstance(answer, Mapping):
        answer = answer.get("items", [answer])
    return [queue for queue in answer if isinstance(queue, Mapping)] if isinstance(answer, list) else []
