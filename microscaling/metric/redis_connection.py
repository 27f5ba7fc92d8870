"""A connection to Redis: what its URL says, and one deadline for all of a question."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlsplit

from microscaling.errors import ConfigError
from microscaling.utils import urls
from microscaling.utils.text import short

MAX_BYTES = 2**20
FORM = "redis://host:6379/0, rediss://... for TLS, or unix:///path/of/socket?db=0"
DATABASE = re.compile(r"/?|/[0-9]{1,9}/?")
TLS_FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
NAMED = re.compile(r"argument '(\w{1,40})'|value for '(\w{1,40})'")
"""The option that the library's own error names."""


def check_url(url: str) -> None:
    """Raises ConfigError, which does not show the URL: it may hold a password."""
    if url.startswith("unix://"):
        _check_socket(url)
        return
    urls.check_url(url, ("redis", "rediss"), FORM)
    if not DATABASE.fullmatch(urlsplit(url).path):
        # The library takes 0 for every name, and 12 for /1/2.
        raise ConfigError(f"expected {FORM}; the database is a number")


def _check_socket(url: str) -> None:
    """The library takes the path as it stands between the @, if there is one, and the ?."""
    _, authority, path = urls.cut(url)
    plain = url.isprintable() and " " not in url and "#" not in url and "@" not in path.partition("?")[0]
    if not plain or not path.startswith("/") or authority.rpartition("@")[2]:
        raise ConfigError(f"expected {FORM}; {urls.ESCAPES}")


def connection(url: str) -> Any:
    """One that is opened when it is first used. Raises ConfigError for an option that cannot be."""
    import redis.connection  # noqa: F401 - that it is not there is no error of the URL

    try:
        return _made(url)
    except Exception as error:  # of whatever kind: any option of the library may stand in the URL
        raise ConfigError(f"its URL cannot be used ({_culprit(url, error)})") from None


def _made(url: str) -> Any:
    from redis.connection import Connection, parse_url

    scheme, mark, rest = url.partition("://")
    options: dict[str, Any] = dict(parse_url(scheme.lower() + mark + rest))
    base = options.pop("connection_class", Connection)
    _tls_options(options)
    # RESP 2: every Redis speaks it, and without asking first.
    return type("TimedConnection", (_Timed, base), {})(**{"protocol": 2, **options})


def _culprit(url: str, error: Exception) -> str:
    """The option that is wrong: the one that the library names, or that is wrong by itself."""
    if named := NAMED.search(str(error)):
        return f"the option {named[1] or named[2]}"
    base, _, query = url.partition("?")
    for option in filter(None, query.split("&")):
        try:
            _made(f"{base}?{option}")
        except Exception as alone:
            why = f": {alone.strerror}" if isinstance(alone, OSError) and alone.strerror else ""
            return f"the option {short(option.partition('=')[0])}{why}"
    return type(error).__name__


def _tls_options(options: dict[str, Any]) -> None:
    """As others write them: CERT_NONE is Celery's word; without a certificate there is no name in it."""
    for name in TLS_FILES & options.keys():
        with open(options[name], "rb"):  # else what is said later names no file
            pass
    asked = str(options.get("ssl_cert_reqs", "")).lower().removeprefix("cert_")
    if asked:
        options["ssl_cert_reqs"] = asked
    if asked == "none":
        options.setdefault("ssl_check_hostname", False)


class _Timed:
    """What the connection does otherwise than redis' own: one deadline for all of a question,
    connecting and logging in included. Redis' time-outs are per read, so that a server that drips
    defeats them."""

    _until = 0.0
    _paced: _Paced | None = None

    def ask(self: Any, command: tuple[str, ...], deadline_s: float) -> Any:
        import redis

        self._until = time.monotonic() + deadline_s
        if self._paced is not None and self._stale():
            self.disconnect()
        try:
            self.connect()
            self._paced.left = MAX_BYTES
            self.send_command(*command)
            return self.read_response()
        except redis.TimeoutError:
            raise TimeoutError from None

    def _stale(self: Any) -> bool:
        """Something has come that nobody has asked for, or the other side has gone."""
        import redis

        try:
            return bool(self.can_read(0))
        except (redis.RedisError, OSError):
            return True

    def left(self) -> float:
        """Seconds that are left for the question. Raises TimeoutError if none are."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    # For a host of several addresses, each gets half of what is then left.
    socket_connect_timeout = property(lambda self: self.left() / 2, lambda self, value: None)
    socket_timeout = property(lambda self: self.left(), lambda self, value: None)

    def _connect(self: Any) -> Any:
        self._paced = _Paced(super()._connect(), self.left)  # type: ignore[misc]
        return self._paced

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        self._paced = None
        super().disconnect(*args, **kwargs)  # type: ignore[misc]


class _Paced:
    """A socket whose reads get what is left of the question's time, and of its bytes."""

    def __init__(self, sock: Any, time_left: Any) -> None:
        self._sock = sock
        self._time_left = time_left
        self._limit: float | None = None
        self.left = MAX_BYTES

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        """Of a single read; 0: do not wait at all."""
        self._limit = seconds

    def recv(self, size: int) -> bytes:
        self._set_timeout()
        data: bytes = self._sock.recv(size)
        self._count(len(data))
        return data

    def recv_into(self, buffer: Any, *args: Any) -> int:
        self._set_timeout()
        count: int = self._sock.recv_into(buffer, *args)
        self._count(count)
        return count

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(self._time_left())
        self._sock.sendall(data)

    def _set_timeout(self) -> None:
        left = self._time_left()
        self._sock.settimeout(left if self._limit is None else min(left, self._limit))

    def _count(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise OSError(f"the answer is longer than {MAX_BYTES} bytes")
