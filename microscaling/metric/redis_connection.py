"""A connection to Redis: its URL, and one deadline for each command."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from microscaling.errors import ConfigError
from microscaling.metric.redis_topology import SENTINEL, ClusterConnection, Place, SentinelConnection, kind_of
from microscaling.utils import urls
from microscaling.utils.text import short

MAX_BYTES = 2**20
FORM = "redis://host:6379/0, rediss://... for TLS, or unix:///path/of/socket?db=0"
DATABASE = re.compile(r"/?|/[0-9]{1,9}/?")
TLS_FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
NAMED = re.compile(r"argument '(\w{1,40})'|value for '(\w{1,40})'")
"""Finds the option that an error of the library names."""


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    if url.startswith("unix://"):
        _check_socket(url)
        return
    if kind_of(url):
        place = Place(url)
        for host in place.hosts:
            check_url(place.url_of(host))
        return
    urls.check_url(url, ("redis", "rediss"), FORM)
    if not DATABASE.fullmatch(urlsplit(url).path):
        # The library takes 0 for every name, and 12 for /1/2.
        raise ConfigError(f"expected {FORM}; the database is a number")


def _check_socket(url: str) -> None:
    """Raises ConfigError for an invalid URL of a Unix socket."""
    # The library takes the path literally, from the @, if there is one, to the ?.
    _, authority, path = urls.cut(url)
    plain = url.isprintable() and " " not in url and "#" not in url and "@" not in path.partition("?")[0]
    if not plain or not path.startswith("/") or authority.rpartition("@")[2]:
        raise ConfigError(f"expected {FORM}; {urls.ESCAPES}")


def connection(url: str) -> Any:
    """Returns a connection that opens when it is first used. Raises ConfigError for an invalid option."""
    import redis.connection  # noqa: F401 - its absence is no error of the URL

    if kind := kind_of(url):
        place = Place(url)
        connection(place.url_of(place.hosts[0]))  # its options
        return (SentinelConnection if kind == SENTINEL else ClusterConnection)(place, connection)
    try:
        return _made(url)
    except Exception as error:  # any type: the URL may set any option of the library
        raise ConfigError(f"its URL cannot be used ({_culprit(url, error)})") from None


def _made(url: str) -> Any:
    from redis.connection import Connection, parse_url

    scheme, mark, rest = url.partition("://")
    options: dict[str, Any] = dict(parse_url(scheme.lower() + mark + rest))
    base = options.pop("connection_class", Connection)
    _tls_options(options)
    # RESP 2: every Redis speaks it, without a handshake.
    return type("TimedConnection", (_Timed, base), {})(**{"protocol": 2, **options})


def _culprit(url: str, error: Exception) -> str:
    """Returns the invalid option: the one in the library's error, or the one that fails alone."""
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
    """Adapts TLS options to redis-py. Raises OSError for an unreadable file."""
    for name in TLS_FILES & options.keys():
        with open(options[name], "rb"):  # the library's later error would not name the file
            pass
    # Celery writes CERT_NONE for none. Without a certificate there is no host name to check.
    asked = str(options.get("ssl_cert_reqs", "")).lower().removeprefix("cert_")
    if asked:
        options["ssl_cert_reqs"] = asked
    if asked == "none":
        options.setdefault("ssl_check_hostname", False)


# The library's own takes most of the time of a beat with hundreds of queues, of which few words change.
@functools.lru_cache(8192)
def _packed(command: tuple[Any, ...]) -> bytes:
    """Returns a command as Redis reads it (RESP, "Sending commands to a Redis server")."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class _Timed:
    """Replaces the timeouts of redis-py's connection by one deadline for each command, which includes
    connecting and logging in. Its own timeouts are per read, so a server that sends single bytes would defeat
    them."""

    _until = 0.0
    _paced: _Paced | None = None

    def ask(self: Any, command: tuple[str, ...], deadline_s: float) -> Any:
        """Sends a command and returns the answer. Raises ResponseError for an error reply, and TimeoutError
        after `deadline_s` seconds."""
        import redis

        answer = self.ask_all([command], deadline_s)[0]
        if isinstance(answer, redis.ResponseError):
            raise answer
        return answer

    def ask_all(
        self: Any, commands: Sequence[tuple[Any, ...]], deadline_s: float, most_bytes: int = MAX_BYTES
    ) -> list[Any]:
        """Sends commands at once and returns their answers; an error reply is the ResponseError in its
        place. Raises TimeoutError after `deadline_s` seconds."""
        import redis

        self._until = time.monotonic() + deadline_s
        if self._paced is not None and self._stale():
            self.disconnect()
        try:
            self.connect()
            self._paced.allow(most_bytes)
            self.send_packed_command([b"".join(map(_packed, commands))])
            return [self._reply() for _ in commands]
        except redis.TimeoutError:
            raise TimeoutError from None
        except Exception:
            self.disconnect()  # the next command must not get what is left of these answers
            raise

    def _reply(self: Any) -> Any:
        import redis

        try:
            return self.read_response()
        except redis.ResponseError as error:
            return error

    def _stale(self: Any) -> bool:
        """True if data has arrived without a request, or the server has closed the connection."""
        import redis

        try:
            return bool(self.can_read(0))
        except (redis.RedisError, OSError):
            return True

    def left(self) -> float:
        """Returns the remaining seconds of the deadline. Raises TimeoutError at its end."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    # A host may have several addresses, so each attempt gets half of the remaining time.
    socket_connect_timeout = property(lambda self: self.left() / 2, lambda self, value: None)
    socket_timeout = property(lambda self: self.left(), lambda self, value: None)

    def _connect(self: Any) -> Any:
        self._paced = _Paced(super()._connect(), self.left)  # type: ignore[misc]
        return self._paced

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        self._paced = None
        super().disconnect(*args, **kwargs)  # type: ignore[misc]


class _Paced:
    """A socket that limits its reads to the remaining time and bytes of the request."""

    def __init__(self, sock: Any, time_left: Any) -> None:
        self._sock = sock
        self._time_left = time_left
        self._limit: float | None = None
        self.allow(MAX_BYTES)

    def allow(self, size: int) -> None:
        """Allows so many bytes in the next answers."""
        self._most = self._left = size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        """Sets the limit of a single read in seconds; 0: do not wait at all."""
        self._limit = seconds

    def recv(self, size: int, flags: int = 0) -> bytes:
        self._set_timeout()
        data: bytes = self._sock.recv(size, flags)
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
        self._left -= count
        if self._left < 0:
            raise OSError(f"the answer is longer than {self._most} bytes")
