"""The metric of a queue's length in Redis: of a list, a stream, a sorted set, or a consumer group."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from microscaling.clients.http.client import public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Metric, Source, whole_number
from microscaling.metric.missing import HELD, Absent, Hint, alike
from microscaling.metric.redis_connection import check_url, connection
from microscaling.plugins import Field
from microscaling.secrets.masking import secrets_of_url
from microscaling.settings import Settings
from microscaling.utils.text import alternatives, cause_of

__all__ = ["KINDS", "RedisMetric", "RedisSource", "check_url", "command_of"]

DEADLINE_S = 1.0
KINDS = ("list", "stream", "group", "zset", "due")
NEEDS_LIBRARY = "metricType Redis needs redis: pip install '.[redis]' in the clone"
SCANS = 10
SCANNED = 1000
"""Keys per SCAN, and SCANS of them: Redis is searched for other names among 10,000 keys at most."""


NOW = "now"
OF_TYPE = {"LLEN": b"list", "ZCARD": b"zset", "ZCOUNT": b"zset"}
"""Redis' own name for the type of key that a command is for; any other is for a stream."""


def command_of(kind: str, key: str, group: str) -> tuple[str, ...]:
    """Returns the command for the number (Redis' documentation of LLEN, XLEN, XPENDING,
    ZCARD and ZCOUNT)."""
    return {
        "list": ("LLEN", key),
        "stream": ("XLEN", key),
        "group": ("XPENDING", key, group),
        "zset": ("ZCARD", key),
        # The time is put in its place when the question is asked.
        "due": ("ZCOUNT", key, "-inf", NOW),
    }[kind]


class RedisSource(Source):
    """One command to one Redis, over a persistent connection."""

    cheap = True

    def __init__(self, url: str, command: tuple[str, ...], deadline_s: float = DEADLINE_S) -> None:
        self.key = ("redis", url, command)
        self.name = f"Redis at {public_url(url)}"
        self.secrets = secrets_of_url(url)
        self._url = url
        self._command = command
        self._what = f"{self.name}: {' '.join(command)}"
        self._deadline_s = deadline_s
        self._until = 0.0
        self._connection: Any = None
        self._hint = Hint(f"{self.name}: the key", command[1])

    def check(self) -> None:
        try:
            self._connect()
        except ImportError:
            raise ConfigError(NEEDS_LIBRARY) from None
        except ConfigError as error:
            raise ConfigError(f"{self.name}: {error}") from None

    def fetch(self) -> Any:
        """Returns the answer of Redis, or Absent. An error other than an error reply closes the
        connection."""
        self._until = time.monotonic() + self._deadline_s
        try:
            now = f"{time.time():.3f}"
            answer = self._asked(tuple(now if word is NOW else word for word in self._command))
            if answer == 0:
                answer = self._zero()
        except _Refused as error:
            if not str(error).startswith("NOGROUP"):
                raise MetricError(f"{self._what}: {error}") from None
            answer = Absent(f"{self._what}: {error}")
        if self._hint.is_due(not isinstance(answer, Absent)):
            self._look_for_others()
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()

    def _zero(self) -> Any:
        """Interprets a length of 0: Redis removes a list or set with its last entry, but keeps a stream; and
        of a set, nothing may be due."""
        name, key = self._command[0], self._command[1]
        if name in ("XLEN", "ZCOUNT"):
            try:
                if self._asked(("EXISTS", key)):
                    return 0
            except _Refused:  # without the right to EXISTS, an empty one and none look the same
                return 0
        return Absent(f"{self._what}: there is no such key")

    def _look_for_others(self) -> None:
        """Looks for a key of a similar name, within the remaining time of the request."""
        kind = OF_TYPE.get(self._command[0], b"stream")
        try:
            for key in alike(self._command[1], self._keys()):
                if self._asked(("TYPE", key)) == kind:
                    self._hint.give([key])
                    return
        except (_Refused, MetricError):
            return  # not permitted, or out of time: only the hint fails

    def _keys(self) -> set[str]:
        """Returns up to 10,000 keys of the database."""
        cursor, keys = "0", set[str]()
        for _ in range(SCANS):
            answer = self._asked(("SCAN", cursor, "COUNT", str(SCANNED)))
            cursor = answer[0].decode()
            keys |= {key.decode("utf-8", "replace") for key in answer[1]}
            if cursor == "0":
                break
        return keys

    def _asked(self, command: tuple[str, ...]) -> Any:
        """Sends one command. Raises _Refused for an error reply of Redis, else MetricError."""
        try:
            used = self._connect()
        except ImportError:
            raise MetricError(NEEDS_LIBRARY) from None
        except ConfigError as error:
            raise MetricError(f"{self.name}: {error}") from None
        import redis

        try:
            return used.ask(command, self._until - time.monotonic())
        except redis.ResponseError as error:
            reason = cause_of(error)
            if reason.startswith("WRONGTYPE"):
                reason += f"; is it of another kind: {alternatives(KINDS)}?"
            raise _Refused(reason) from None
        except TimeoutError:
            self.close()  # a late answer would be taken for that to the next command
            raise MetricError(f"{self.name}: no complete answer within {self._deadline_s:g} s") from None
        except (redis.RedisError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            self.close()
            raise MetricError(f"{self.name}: {cause_of(error)}") from None

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def _connect(self) -> Any:
        """Returns the connection; it opens itself when it is first used."""
        if self._connection is None:
            self._connection = connection(self._url)
        return self._connection


class _Refused(Exception):
    """An error reply of Redis: the connection itself works."""


class RedisMetric(Metric):
    """The length of a list, a stream or a sorted set (items), the pending entries of a consumer group
    (delivered, and not yet acknowledged), or the members of a sorted set that are due: those with a score up
    to now, in Unix seconds. A missing key is empty, as in Redis itself; a missing group is an error. Raises
    ConfigError."""

    type_name = "Redis"
    summary = "the length of a list, a stream or a sorted set, or what is pending in a group"
    fields = (
        Field("url", "URL", kind="url", required=True, secret=True, wide=True, check=check_url),
        Field("key", "Key", required=True, hint="of the list, stream or sorted set"),
        Field(
            "kind",
            "Kind",
            kind="choice",
            default="list",
            choices=KINDS,
            hint="due: the members of a sorted set with a score up to now, in Unix seconds",
        ),
        Field("group", "Group", hint="with kind group: the consumer group"),
    )
    may_be_missing = True

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> RedisMetric:
        return cls(values["url"], values["key"], values["kind"], values["group"])

    def __init__(self, url: str, key: str, kind: str = "list", group: str = "") -> None:
        check_url(url)
        if not key:
            raise ConfigError("key: is missing: the name of the list, stream or sorted set")
        if kind not in KINDS:
            raise ConfigError(f"kind: expected {alternatives(KINDS)}, got {kind!r:.40}")
        if bool(group) is not (kind == "group"):
            raise ConfigError("group: is the name of a consumer group, and goes together with kind: group")
        self.kind = kind
        if kind == "group":  # a drained group is not removed, so a missing one was never created
            self.missing = HELD
        self._what = " ".join(command_of(kind, key, group))
        self.source = RedisSource(url, command_of(kind, key, group))

    def read(self, answer: Any) -> int:
        if isinstance(answer, Absent):
            return self.absent(answer.reason)
        if self.kind == "group":  # the count, the first and the last id, and the counts of the consumers
            if not isinstance(answer, list) or not answer:
                raise MetricError(f"{self._what}: not the answer of Redis: {answer!r:.40}")
            answer = answer[0]
        # These commands answer with an integer: text, even "5", does not come from Redis.
        return whole_number(answer, self._what)

    def glance(self, answer: Any) -> int:
        return self.read(answer)


TYPE = RedisMetric
