"""Connections to PostgreSQL, also by way of a pool such as PgBouncer."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any

from microscaling.errors import ConfigError
from microscaling.metric.database import Driver, Link, Refused, Rows, TooMany, Values
from microscaling.metric.postgresql_listener import NAME, Listener
from microscaling.utils import urls
from microscaling.utils.text import cause_of

FORM = "postgresql://user:password@host:5432/database"


def libpq_url(url: str) -> str:
    """Returns the URL as libpq knows it: SQLAlchemy has the driver in its scheme, and Django postgres://."""
    return f"postgresql://{url.partition('://')[2]}"


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    _, authority, _ = urls.cut(url)
    host = authority.rpartition("@")[2]
    # libpq knows more: several hosts, and none, with the folder of a socket as the host or as an option.
    if host and "," not in host and not host.upper().startswith("%2F"):
        urls.check_url(libpq_url(url), ("postgresql",), FORM)
    try:
        from psycopg import Error
        from psycopg.conninfo import conninfo_to_dict
    except ImportError:
        return  # said by the source
    try:
        conninfo_to_dict(libpq_url(url))
    except (Error, ValueError) as error:
        option = "an option that libpq does not know" if "query parameter" in str(error) else urls.ESCAPES
        raise ConfigError(f"expected {FORM}; {option}") from None


class PostgreSQLLink(Link):
    """A connection without any setting of its own.

    A pool gives it another session with each transaction, and would give what is set to others: a session
    that only reads would break the application.
    """

    def __init__(self, url: str) -> None:
        self._url = libpq_url(url)
        self._connection: Any = None

    def open(self, timeout_s: float) -> None:
        import psycopg

        self._connection = psycopg.connect(
            self._url,
            # Otherwise now() stands still, and vacuum waits for the end of the transaction.
            autocommit=True,
            # A prepared statement is in one of the sessions of a pool only.
            prepare_threshold=None,
            fallback_application_name=NAME,
            connect_timeout=max(2, round(timeout_s)),  # libpq's minimum
        )

    def rows(self, statement: str, values: Values, timeout_s: float, most: int) -> Rows:
        import psycopg

        connection = self._connection
        try:
            connection.execute(
                f"BEGIN READ ONLY; SET LOCAL statement_timeout = {max(1, round(timeout_s * 1000))}"
            )
            with connection.cursor() as cursor:
                found = list(islice(cursor.stream(statement, None if values == () else values), most + 1))
                if len(found) > most:
                    self.abort()  # else all the rest would be read
                    raise TooMany(most)
            connection.execute("COMMIT")
        except psycopg.Error as error:
            if error.sqlstate is None or connection.broken:
                raise
            # The server is well, and another connection would cost it a process.
            connection.execute("ROLLBACK")
            raise Refused(reason(error), error.sqlstate) from None
        return found

    def abort(self) -> None:
        # Only shut down: another file could get the number of one that is closed while a thread waits for it.
        with contextlib.suppress(Exception), socket.socket(fileno=os.dup(self._connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def reason(error: BaseException) -> str:
    """Returns the text of an error: the first line, without the statement."""
    # Without the part of the statement that psycopg adds; an error of the network has no such field.
    said = getattr(getattr(error, "diag", None), "message_primary", None)
    return cause_of(error, said or str(error).replace("\n", " "))


def _load() -> object:
    import psycopg

    return psycopg


def _listener(
    name: str, url: str, channels: Callable[[], Collection[str]], news: Callable[[], None]
) -> Listener:
    return Listener(name, libpq_url(url), channels, news)


POSTGRESQL = Driver(
    "PostgreSQL", "postgresql", "psycopg", _load, check_url, PostgreSQLLink, reason, _listener
)
