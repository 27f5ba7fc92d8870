"""The length of a queue that is a table in a database."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any
from urllib.parse import quote

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source, whole_number
from microscaling.utils.http import MOST_OF_REASON
from microscaling.utils.masking import mask, secrets_of_url
from microscaling.utils.text import one_line

DEADLINE_S = 1.0
STEPS = 1000
"""The clock is looked at every so many instructions of the database's virtual machine."""
FORMS = "sqlite:///relative/path or sqlite:////absolute/path"


def sqlite_path(url: str) -> str:
    """The file that a database URL names. Raises ConfigError.

    The form is the usual one (SQLAlchemy's): what follows the third slash is the path.
    """
    scheme, colon, rest = url.partition(":")
    if not colon:
        raise ConfigError(f"SQL metric: the database has to be a URL: {FORMS}")
    if scheme != "sqlite":
        # The rest may hold a password.
        raise ConfigError(f"SQL metric: databases of the kind {scheme!r} are not supported; expected {FORMS}")
    path = rest.removeprefix("///")
    if path in ("", ":memory:") or path == rest:
        raise ConfigError(f"SQL metric: {_shown(url)} names no file; expected {FORMS}")
    return path


def _shown(url: str) -> str:
    """As logs may show it: with other databases it would have a password, or an option that is secret."""
    return one_line(mask(url.partition("?")[0], ()))


class SQLSource(Source):
    """One query to one SQLite file, opened anew each time: the file may be replaced by another."""

    def __init__(self, url: str, query: str, deadline_s: float = DEADLINE_S) -> None:
        self.key = ("sql", url, query)
        self.name = _shown(url)
        self.secrets = secrets_of_url(url)
        self._path = sqlite_path(url)
        self._query = query
        self._deadline_s = deadline_s

    def fetch(self) -> object:
        """The one value that the query yields, of whatever type."""
        deadline = time.monotonic() + self._deadline_s
        try:
            rows = self._rows(deadline)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if time.monotonic() >= deadline:
                raise MetricError(f"{self.name}: no answer within {self._deadline_s:g} s") from None
            if not os.path.exists(self._path):
                raise MetricError(f"{self.name}: there is no such file") from None
            raise MetricError(f"{self.name}: {one_line(str(error)[:MOST_OF_REASON])}") from None
        if len(rows) != 1 or len(rows[0]) != 1:
            what = "no row" if not rows else "more than one value"
            raise MetricError(f"{self.name}: the query yields {what}; expected one number")
        if rows[0][0] is None:
            raise MetricError(f"{self.name}: the query yields NULL; expected one number")
        return rows[0][0]

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def _rows(self, deadline: float) -> list[tuple[Any, ...]]:
        uri = f"file:{quote(os.path.abspath(self._path))}?mode=ro"
        # The time-out is for locks that others hold, the handler for queries that take long.
        connection = sqlite3.connect(uri, uri=True, timeout=self._deadline_s, isolation_level=None)
        try:
            connection.set_progress_handler(lambda: time.monotonic() >= deadline, STEPS)
            connection.execute("PRAGMA query_only = ON")  # for what a query may attach as well
            return connection.execute(self._query).fetchmany(2)
        finally:
            connection.close()


class SQLMetric(Metric):
    """What a query finds: one row with one whole number (items). ConfigError if the URL is wrong."""

    def __init__(self, url: str, query: str) -> None:
        if not query.strip():
            raise ConfigError("SQL metric: needs a query that yields one number")
        self.source = SQLSource(url, query)

    def read(self, answer: object) -> int:
        return whole_number(answer, "what the query yields")
