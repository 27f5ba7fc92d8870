"""The metric of a queue's length in a database table."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source
from microscaling.metric.number import items
from microscaling.metric.sqlite_file import Database, public_name
from microscaling.plugins import Field
from microscaling.secrets.masking import secrets_of_url
from microscaling.settings import Settings
from microscaling.utils.text import cause_of

DEADLINE_S = 1.0
FORM = "sqlite:////path/of/it.db"
STEPS = 1000
"""Instructions of the database's virtual machine between two checks of the deadline."""


class SQLSource(Source):
    """One query to one SQLite file, opened anew each time: the file may be replaced by another."""

    def __init__(self, url: str, query: str, deadline_s: float = DEADLINE_S) -> None:
        self.key = ("sql", url, query)
        self.name = public_name(url)
        self.secrets = secrets_of_url(url)
        self._database = Database(url)
        self._query = query
        self._deadline_s = deadline_s

    def fetch(self) -> object:
        """Returns the one value of the query's result, of any type."""
        deadline = time.monotonic() + self._deadline_s
        try:
            rows = self._rows(deadline)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            if time.monotonic() >= deadline:
                raise MetricError(f"{self.name}: no answer within {self._deadline_s:g} s") from None
            why = cause_of(error)
            if "unable to open" in why or "I/O error" in why:  # SQLite gives no reason for these
                why = self._database.obstacle() or why
            raise MetricError(f"{self.name}: {why}") from None
        if len(rows) != 1 or len(rows[0]) != 1:
            what = "no row" if not rows else "more than one value"
            raise MetricError(f"{self.name}: the query yields {what}; expected one number")
        if rows[0][0] is None:
            # Not 0: sum() yields NULL for no rows, but also for a column of unexpected values.
            raise MetricError(f"{self.name}: the query yields NULL; coalesce(..., 0) makes 0 of it")
        return rows[0][0]

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def _rows(self, deadline: float) -> list[tuple[Any, ...]]:
        # The timeout is for locks held by writers, the handler for slow queries.
        with self._database.opened(self._deadline_s) as connection:
            connection.set_progress_handler(lambda: time.monotonic() >= deadline, STEPS)
            connection.execute("PRAGMA query_only = ON")  # covers databases that a query attaches, too
            return connection.execute(self._query).fetchmany(2)


class SQLMetric(Metric):
    """The result of a query: one row with one number (items). Raises ConfigError for an invalid URL."""

    type_name, summary = "SQL", "what a query to a SQLite file finds"
    fields = (
        Field(
            "databaseURL",
            "Database",
            required=True,
            secret=True,
            wide=True,
            hint="sqlite:////path/of/it.db",
            check=Database,
        ),
        Field("query", "Query that yields one number", required=True, wide=True),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> SQLMetric:
        return cls(values["databaseURL"], values["query"])

    def __init__(self, url: str, query: str) -> None:
        if not query.strip():
            raise ConfigError("SQL metric: needs a query that yields one number")
        self.source = SQLSource(url, query)

    def read(self, answer: object) -> int:
        return items(answer, "the query's result", self.at_least)


TYPE = SQLMetric
