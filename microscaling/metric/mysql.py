"""Connections to MySQL and MariaDB."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from microscaling.errors import ConfigError
from microscaling.metric.database import Driver, Link, Refused, Rows, TooMany, Values
from microscaling.utils import urls
from microscaling.utils.text import cause_of, short

if TYPE_CHECKING:
    import ssl

FORM = "mysql://user:password@host:3306/database"
NAME = "microscaling"
SCHEMES = ("mysql", "mariadb")
MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
"""Of `ssl-mode`, as in MySQL's own clients."""
OPTIONS = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "ssl_check_hostname", "charset", "unix_socket")
UNKNOWN_VARIABLE = 1193


def options_of(url: str) -> dict[str, str]:
    """Returns the options behind the ? of a URL, in lower case with underscores."""
    return {name.lower().replace("-", "_"): value for name, value in parse_qsl(urlsplit(url).query)}


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    urls.check_url(_plain(url), ("mysql",), FORM)
    options = options_of(url)
    if (mode := options.get("ssl_mode", "preferred").lower()) not in MODES:
        raise ConfigError(f"ssl-mode {short(mode)} is none of {', '.join(MODES)}")
    for name in options.keys() - {*OPTIONS}:  # one that is misspelt may be meant to make it secure
        raise ConfigError(f"the option {short(name)} is not known here; known are {', '.join(OPTIONS)}")
    try:
        tls_of(options)
    except OSError as error:
        raise ConfigError(f"the files of ssl-ca, ssl-cert and ssl-key: {cause_of(error)}") from None


def _plain(url: str) -> str:
    """Returns the URL without the driver that SQLAlchemy has in the scheme."""
    scheme, mark, rest = url.partition("://")
    return f"mysql{mark}{rest}" if scheme.lower().partition("+")[0] in SCHEMES else url


def tls_of(options: Mapping[str, str]) -> ssl.SSLContext | None:
    """Returns what ssl-mode and the files ask for; None: TLS if the server has it, without a check. Raises
    OSError for a file."""
    import ssl

    ca, cert = options.get("ssl_ca"), options.get("ssl_cert")
    # As MySQL's clients: a file with authorities is of no use without a check.
    mode = options.get("ssl_mode", "verify_ca" if ca else "required" if cert else "preferred").lower()
    if mode in ("disabled", "preferred"):
        return None
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = mode == "verify_identity"
    if mode == "verify_ca" and options.get("ssl_check_hostname", "").lower() in ("true", "1"):
        context.check_hostname = True
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert, options.get("ssl_key"))
    return context


class MySQLLink(Link):
    """A connection whose session only reads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._time_limit: str | None = None

    def open(self, timeout_s: float) -> None:
        import pymysql

        parts, options = urlsplit(_plain(self._url)), options_of(self._url)
        self._connection = pymysql.connect(
            host=parts.hostname,
            port=parts.port or 0,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or "").encode(),
            database=unquote(parts.path.removeprefix("/")) or None,
            unix_socket=options.get("unix_socket"),
            charset=options.get("charset", ""),
            ssl=tls_of(options),
            ssl_disabled=options.get("ssl_mode", "").lower() == "disabled",
            # Otherwise the first count is given for ever.
            autocommit=True,
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            write_timeout=timeout_s,
            program_name=NAME,
            defer_connect=True,  # so that `abort` finds it
        )
        self._connection.connect()
        self._execute("SET SESSION TRANSACTION READ ONLY")
        # MariaDB's is in seconds and for all statements, MySQL's in milliseconds and for SELECT.
        mariadb = "mariadb" in str(self._connection.get_server_info()).lower()
        self._time_limit = "max_statement_time = {:.3f}" if mariadb else "max_execution_time = {:.0f}"
        self._scale = 1 if mariadb else 1000

    def rows(self, statement: str, values: Values, timeout_s: float, most: int) -> Rows:
        import pymysql

        connection = self._connection
        try:
            self._limit(timeout_s)
            with contextlib.closing(pymysql.cursors.SSCursor(connection)) as cursor:
                cursor.execute(statement, values or None)
                found = list(cursor.fetchmany(most + 1))
                if len(found) > most:
                    self.abort()  # else all the rest would be read
                    raise TooMany(most)
        except pymysql.MySQLError as error:
            if not connection.open or len(error.args) < 2 or error.args[0] >= 2000:
                raise  # from 2000 they are the client's own
            raise Refused(reason(error)) from None
        return found

    def _limit(self, timeout_s: float) -> None:
        import pymysql

        if self._time_limit is None:
            return
        try:
            self._execute("SET SESSION " + self._time_limit.format(timeout_s * self._scale))
        except pymysql.MySQLError as error:
            # Old servers have no such variable; the deadline of the whole answer holds for them, too.
            if error.args[0] != UNKNOWN_VARIABLE:
                raise
            self._time_limit = None

    def _execute(self, statement: str) -> None:
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(statement)

    def abort(self) -> None:
        # Only shut down: another file could get the number of one that is closed while a thread waits for it.
        with contextlib.suppress(Exception):
            self._connection._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._connection is not None and self._connection.open:
            self._connection.close()


def reason(error: BaseException) -> str:
    """Returns the text of an error, with its number."""
    args = error.args
    said = f"{args[1]} ({args[0]})" if len(args) > 1 and isinstance(args[0], int) else str(error)
    return cause_of(error, said)


def _load() -> object:
    import pymysql

    return pymysql


MYSQL = Driver("MySQL", "mysql", "PyMySQL", _load, check_url, MySQLLink, reason)
