"""The metric of a backend of HAProxy, from its statistics as CSV ("show stat" in its Management Guide)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from microscaling.clients.http.client import public_url
from microscaling.clients.tcp.lines import LineConnection
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement, Metric, Source
from microscaling.metric.http import DEADLINE_S, HEADERS, HTTPSource, Question, check_question
from microscaling.metric.missing import Absent, alike
from microscaling.metric.number import items
from microscaling.metric.rate import MEASURE, PER_SECOND
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils import urls
from microscaling.utils.text import cause_of, one_line

FORM = "http://haproxy:8404/stats, or tcp://haproxy:9999 for its stats socket"
CSV = ";csv"
COMMAND = b"show stat\n"
MAX_BYTES = 4 * 2**20
BEGIN = "# pxname,svname,"
SUM = "BACKEND"
"""The row with the sums of a backend."""

Row = Mapping[str, str]


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    urls.check_url(url, ("http", "https", "tcp"), FORM)
    parts = urlsplit(url)
    more = not parts.port or parts.path.strip("/") or parts.query or "@" in parts.netloc
    if parts.scheme == "tcp" and more:
        raise ConfigError(f"expected {FORM}")


class HAProxyPage(HTTPSource):
    """The page of statistics, as CSV."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        # The page itself is HTML; this suffix has to stand before a query.
        page, mark, query = url.partition("?")
        page = page if page.endswith(CSV) else f"{page}{CSV}"
        super().__init__(Question(f"{page}{mark}{query}", headers, accept="text/plain"))

    def parsed(self, body: bytes) -> dict[str, Row]:
        """Returns the sums of each backend by its name. Raises MetricError."""
        return backends(body, self.name)


class HAProxySocket(Source):
    """The stats socket, bound to a port."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.key = ("haproxy", url)
        self.name = f"haproxy at {public_url(url)}"
        self._deadline_s = DEADLINE_S
        self._connection = LineConnection(parts.hostname or "", parts.port or 0, MAX_BYTES)

    def fetch(self) -> dict[str, Row]:
        """Returns the sums of each backend by its name. Raises MetricError."""
        lines = []
        try:
            with self._connection.exchange(COMMAND, self._deadline_s) as answer:
                while line := answer.line():
                    lines.append(line)
        except TimeoutError:
            raise MetricError(f"{self.name}: no complete answer within {self._deadline_s:g} s") from None
        except OSError as error:
            raise MetricError(f"{self.name}: {error.strerror or cause_of(error)}") from None
        finally:
            self._connection.close()  # as HAProxy does after each command
        return backends(b"\n".join(lines) + b"\n", self.name)

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        self._connection.close()


def backends(text: bytes, name: str) -> dict[str, Row]:
    """Reads the sums of each backend by its name. Raises MetricError for a text of another form; `name` is
    the source."""
    decoded = text.decode("utf-8", "replace")
    if not decoded.startswith(BEGIN) or not decoded.endswith("\n"):
        raise MetricError(f"{name}: not the statistics of HAProxy as CSV, or cut off")
    try:
        rows = list(csv.DictReader(io.StringIO(decoded.removeprefix("# "))))
    except csv.Error as error:
        raise MetricError(one_line(f"{name}: the statistics cannot be read: {error}")) from None
    return {str(row["pxname"]): row for row in rows if row.get("svname") == SUM}


class HAProxyMetric(Metric):
    """The requests of a backend: those that wait for a server and those that are open, or those of the last
    second. Raises ConfigError."""

    type_name, summary = "HAProxy", "the requests of a backend of HAProxy"
    fields = (
        Field("url", "URL", kind="url", required=True, secret=True, wide=True, check=check_url, hint=FORM),
        Field("backend", "Backend", required=True),
        MEASURE,
        HEADERS,
    )
    may_be_missing = True
    missing = "held"

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> HAProxyMetric:
        return cls(values["url"], values["backend"], values["measure"], values["headers"])

    def __init__(
        self, url: str, backend: str, measure: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        check_url(url)
        self.backend = backend
        self.per_second = measure == PER_SECOND
        if url.startswith("tcp:"):
            if headers:
                raise ConfigError("headers: mean nothing for a socket: leave them out")
            self.source: Source = HAProxySocket(url)
        else:
            check_question(Question(url, headers or {}))
            self.source = HAProxyPage(url, headers or {})

    def read(self, answer: Mapping[str, Row]) -> int | Measurement:
        row = answer.get(self.backend)
        if row is None:
            like = "".join(f"; is {other} meant?" for other in alike(self.backend, answer)[:1])
            return self.absent(Absent(f"HAProxy has no backend {self.backend}{like}").reason)
        if self.per_second:
            return self._count(row, "rate")
        # The sessions of a backend are all that have come to it, those in its queue included.
        queued = self._count(row, "qcur")
        return Measurement(queued, max(0, self._count(row, "scur") - queued))

    def _count(self, row: Row, column: str) -> int:
        return items(row.get(column), f"{column} of the backend {self.backend}")


TYPE = HAProxyMetric
