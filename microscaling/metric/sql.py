"""The metric of a queue's length in a database table."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from microscaling.errors import ConfigError, MetricError
from microscaling.metric import mysql, postgresql
from microscaling.metric.base import Metric, Source
from microscaling.metric.database import DatabaseSource, Driver, Question, Rows, Run
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


DRIVERS: Mapping[str, Driver] = {
    "postgresql": postgresql.POSTGRESQL,
    "postgres": postgresql.POSTGRESQL,
    "mysql": mysql.MYSQL,
    "mariadb": mysql.MYSQL,
}
"""By the scheme of the URL."""


def kind_of(url: str) -> str:
    """Returns the kind of database in a URL: its scheme, without the driver that SQLAlchemy has in it."""
    return url.partition(":")[0].lower().partition("+")[0]


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    driver = DRIVERS.get(kind_of(url))
    driver.check(url) if driver else Database(url)


def one_value(rows: Rows) -> object:
    """Returns the one value of a result. Raises MetricError."""
    if len(rows) != 1 or len(rows[0]) != 1:
        raise MetricError(
            f"the query yields {'more than one value' if rows else 'no row'}; expected one number"
        )
    if rows[0][0] is None:
        # Not 0: sum() yields NULL for no rows, but also for a column of unexpected values.
        raise MetricError("the query yields NULL; coalesce(..., 0) makes 0 of it")
    value: object = rows[0][0]
    return value


class SQLSource(Source):
    """One query to one SQLite file, opened anew each time: the file may be replaced by another."""

    cheap = True

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
        try:
            return one_value(rows)
        except MetricError as error:
            raise MetricError(f"{self.name}: {error}") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def _rows(self, deadline: float) -> list[tuple[Any, ...]]:
        # The timeout is for locks held by writers, the handler for slow queries.
        with self._database.opened(self._deadline_s) as connection:
            connection.set_progress_handler(lambda: time.monotonic() >= deadline, STEPS)
            connection.execute("PRAGMA query_only = ON")  # covers databases that a query attaches, too
            return connection.execute(self._query).fetchmany(2)


class Query(Question):
    """One query of a server, with one number as its result."""

    def __init__(self, text: str) -> None:
        self.key = text
        self._text = text

    def ask(self, run: Run) -> object:
        return one_value(run(self._text, (), 1))


class SQLMetric(Metric):
    """The result of a query: one row with one number (items). Raises ConfigError for an invalid URL."""

    type_name, summary = "SQL", "what a query to PostgreSQL, MySQL, MariaDB or a SQLite file finds"
    fields = (
        Field(
            "databaseURL",
            "Database",
            kind="url",
            required=True,
            secret=True,
            wide=True,
            hint=f"{postgresql.FORM}, {mysql.FORM} or {FORM}",
            check=check_url,
        ),
        Field("query", "Query that yields one number", required=True, wide=True),
    )

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> SQLMetric:
        return cls(values["databaseURL"], values["query"])

    def __init__(self, url: str, query: str) -> None:
        if not query.strip():
            raise ConfigError("SQL metric: needs a query that yields one number")
        self.query = query
        driver = DRIVERS.get(kind_of(url))
        if driver:
            driver.check(url)
        self.source = DatabaseSource(url, driver, Query(query)) if driver else SQLSource(url, query)

    def read(self, answer: object) -> int:
        if isinstance(answer, Mapping):
            # Without an entry the request was under way before this query was added.
            answer = answer.get(self.query, MetricError(f"{self.source_name}: not measured yet"))
        if isinstance(answer, MetricError):
            raise answer
        return items(answer, "the query's result", self.at_least)

    def glance(self, answer: object) -> int:
        return self.read(answer)

    @property
    def source_name(self) -> str:
        """The name of the database for messages."""
        return self.source.name if self.source is not None else ""


TYPE = SQLMetric
