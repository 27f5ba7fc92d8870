"""The length of a queue in Redis: a list, a stream, or what a group of consumers works on."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source, whole_number
from microscaling.utils.http import MOST_OF_REASON, public_url
from microscaling.utils.masking import secrets_of_url
from microscaling.utils.text import one_line

DEADLINE_S = 1.0
MAX_BYTES = 2**20
KINDS = ("list", "stream", "group")
FORM = "redis://:password@host:6379/0, rediss:// for TLS (in a password, / is %2F)"
NEEDS_LIBRARY = "metricType Redis needs redis: pip install 'microscaling[redis]'"


def check_url(url: str) -> None:
    """Raises ConfigError, which does not show the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise ConfigError(f"expected {FORM}")


def command_of(kind: str, key: str, group: str) -> tuple[str, ...]:
    """What asks for the number (Redis' documentation of LLEN, XLEN and XPENDING)."""
    return {"list": ("LLEN", key), "stream": ("XLEN", key), "group": ("XPENDING", key, group)}[kind]


class RedisSource(Source):
    """One question to one Redis, over a connection that is kept."""

    def __init__(self, url: str, command: tuple[str, ...], deadline_s: float = DEADLINE_S) -> None:
        self.key = ("redis", url, command)
        self.name = f"Redis at {public_url(url)}"
        self.secrets = secrets_of_url(url)
        self._url = url
        self._command = command
        self._deadline_s = deadline_s
        self._connection: Any = None

    def check(self) -> None:
        try:
            self._connect()
        except ImportError:
            raise ConfigError(NEEDS_LIBRARY) from None
        except Exception as error:  # of whatever kind: any option of the library may stand in the URL
            raise ConfigError(f"{self.name}: its URL cannot be used ({type(error).__name__})") from None

    def fetch(self) -> Any:
        """The answer as Redis gives it. Any error but one that Redis itself tells of ends the
        connection, so that an answer that is late is not taken for the next one."""
        try:
            connection = self._connect()
        except ImportError:
            raise MetricError(NEEDS_LIBRARY) from None
        import redis

        try:
            return connection.ask(self._command, self._deadline_s)
        except redis.ResponseError as error:
            raise MetricError(f"{self.name}: {' '.join(self._command)}: {_reason(error)}") from None
        except TimeoutError:
            self.close()
            raise MetricError(f"{self.name}: no complete answer within {self._deadline_s:g} s") from None
        except (redis.RedisError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            self.close()
            raise MetricError(f"{self.name}: {_reason(error)}") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()

    def _connect(self) -> Any:
        """The connection, not yet opened: that is done when it is first used."""
        if self._connection is None:
            self._connection = _connection(self._url)
        return self._connection


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


def _reason(error: Exception) -> str:
    return one_line(str(error)[:MOST_OF_REASON]) or type(error).__name__


def _connection(url: str) -> Any:
    from redis.connection import Connection, parse_url

    options: dict[str, Any] = dict(parse_url(url))
    base = options.pop("connection_class", Connection)
    # RESP 2: every Redis speaks it, and without asking first.
    return type("TimedConnection", (_Timed, base), {})(**{"protocol": 2, **options})


class RedisMetric(Metric):
    """The length of a list or a stream, or for a group of consumers what is pending: handed to one,
    and not yet acknowledged (items). A list or stream that does not exist is empty, as Redis sees
    it. Raises ConfigError."""

    def __init__(self, url: str, key: str, kind: str = "list", group: str = "") -> None:
        check_url(url)
        if not key:
            raise ConfigError("key: is missing: which list or stream to look at")
        if kind not in KINDS:
            raise ConfigError(f"kind: expected list, stream or group, got {kind!r:.40}")
        if bool(group) is not (kind == "group"):
            raise ConfigError("group: is the name of a consumer group, and goes together with kind: group")
        self.kind = kind
        self._what = " ".join(command_of(kind, key, group))
        self.source = RedisSource(url, command_of(kind, key, group))

    def read(self, answer: Any) -> int:
        if self.kind == "group":  # the number, then the first, the last, and who has how many
            if not isinstance(answer, list) or not answer:
                raise MetricError(f"{self._what}: not the answer of Redis: {answer!r:.40}")
            answer = answer[0]
        return whole_number(answer, self._what)
