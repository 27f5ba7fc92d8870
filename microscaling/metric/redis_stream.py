"""The metric of a consumer group of a stream in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement, count_or_none
from microscaling.metric.missing import HELD
from microscaling.metric.redis_groups import group_named, groups_in, words_in
from microscaling.metric.redis_jobs import URL, Answers, Command, JobsMetric, count
from microscaling.plugins import Field
from microscaling.settings import Settings
from microscaling.utils.text import few, short

CLAIM_AFTER_S = 3600
LOOK_AT, LOOK_AT_MORE = 100, 1000
"""Entries that are counted one by one: where Redis says how many there are, and where it does not."""
MAX_STUCK = 1000
TIMES = range(10**12, 10**14)
"""Milliseconds since 1970 in an id that Redis has made (2001 to 5138)."""


class RedisStreamMetric(JobsMetric):
    """The entries of a stream for a consumer group (items): those that no consumer has got yet wait, those
    that are pending run, or are stuck if that has been so for long. Raises ConfigError."""

    type_name, summary = "RedisStream", "the entries of a stream in Redis for a consumer group"
    fields = (
        URL,
        Field("key", "Key", required=True, hint="of the stream"),
        Field("group", "Group", required=True, hint="the consumer group"),
        Field(
            "claimAfterSeconds",
            "Claimed after",
            kind="whole",
            default=CLAIM_AFTER_S,
            least=0,
            hint="entries that are pending for longer are stuck, as with the min-idle-time of XAUTOCLAIM; "
            "0: none",
        ),
    )
    missing = HELD  # a group is never removed by itself, so a missing one has another name

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> RedisStreamMetric:
        return cls(values["url"], values["key"], values["group"], values["claimAfterSeconds"])

    def __init__(self, url: str, key: str, group: str, claim_after_s: int = CLAIM_AFTER_S) -> None:
        for name, value in (("key", key), ("group", group)):
            if not value:
                raise ConfigError(f"{name}: is missing")
        self.group = group
        self.claim_after_s = claim_after_s
        super().__init__(url, key, group, claim_after_s)

    def commands(self, now: float) -> list[Command]:
        return [("XINFO", "STREAM", self.queue), ("XINFO", "GROUPS", self.queue)]

    def further(self, first: list[Any]) -> list[Command]:
        group = group_named(self.group, first[1])
        if group is None:
            return []
        idle_ms = self.claim_after_s * 1000
        # The number of those that it would list has no command of its own.
        found: list[Command] = [("XPENDING", self.queue, self.group, "IDLE", idle_ms, "-", "+", MAX_STUCK)]
        if not self.claim_after_s:
            found = [("EXISTS", self.queue)]
        if _known_waiting(first[0], group) is None:
            last, look_at = group[b"last-delivered-id"], _look_at(group)
            found.append(("XRANGE", self.queue, b"(" + last, "+", "COUNT", look_at))
        return found

    def measurement(self, answers: Answers) -> int | Measurement:
        group = group_named(self.group, answers.first[1])
        if group is None:
            return self.absent(f"{self.what}: {self._missing(answers.first[1])} in {self.source_name}")
        stream = words_in(answers.first[0])
        waiting, oldest, exact = _known_waiting(answers.first[0], group), stream.get(b"first-entry"), True
        if waiting is None:
            seen = answers.further[1]
            waiting, exact = _waiting(seen, group, count(stream.get(b"length")))
            oldest = seen[0] if seen else None
        # A worker may have acknowledged some between the two questions.
        pending = count(group.get(b"pending"))
        stuck = len(answers.further[0]) if self.claim_after_s else 0
        return Measurement(
            waiting,
            max(0, pending - stuck),
            min(stuck, pending),
            oldest_age_s=_age(oldest, answers.now) if waiting else None,
            arrived=_counter(stream, b"entries-added"),
            finished=_finished(group, pending),
            exact=exact,
        )

    def exists(self, first: list[Any]) -> bool:
        return True  # what is missing is named in the error

    def known_in(self) -> str:
        return ""

    @property
    def what(self) -> str:
        return f"stream {short(self.queue)}"

    def _missing(self, answer: Any) -> str:
        if answer is None:
            return "there is no such stream"
        names = sorted(short(group[b"name"].decode("utf-8", "replace")) for group in groups_in(answer))
        there = f"; there {'is' if len(names) == 1 else 'are'} {few(names)}" if names else ""
        return f"there is no group {short(self.group)}{there}"


def _known_waiting(answer: Any, group: Mapping[bytes, Any]) -> int | None:
    """Returns the number of entries that the group has not got yet, if it is certain without a look at them.

    Redis' own lag is not, even where there is one: 7.0 still counts those that were trimmed before they
    were read.
    """
    stream = words_in(answer)
    last, first = _id(group[b"last-delivered-id"]), stream.get(b"first-entry")
    if not first or last >= _id(stream.get(b"last-generated-id")):
        return 0
    # Trimming removes the oldest first: while one that was read is there, no unread one is trimmed.
    if _id(first[0]) > last:
        return count(stream.get(b"length"))
    return 0 if group.get(b"lag") == 0 else None


def _waiting(seen: Any, group: Mapping[bytes, Any], length: int) -> tuple[int, bool]:
    """Returns the number of entries that the group has not got yet, by a look at the first of them, and
    whether it is exact. Raises MetricError."""
    if not isinstance(seen, list):
        raise MetricError("not the answer of Redis")
    if len(seen) < _look_at(group):
        return len(seen), True
    lag = group.get(b"lag")  # null, or before Redis 7 missing: all of the stream is the upper bound
    return (length, False) if lag is None else (max(len(seen), min(count(lag), length)), True)


def _counter(words: Mapping[bytes, Any], name: bytes) -> int | None:
    """Returns a counter of Redis 7, null or missing where it is not known."""
    return count_or_none(words.get(name))


def _finished(group: Mapping[bytes, Any], pending: int) -> int | None:
    """Returns the entries that the group has got and acknowledged."""
    read = _counter(group, b"entries-read")
    return None if read is None else max(0, read - pending)


def _look_at(group: Mapping[bytes, Any]) -> int:
    return LOOK_AT if group.get(b"lag") is not None else LOOK_AT_MORE


def _id(value: Any) -> tuple[int, int]:
    """Returns an id of an entry, in the order of ids. Raises MetricError."""
    try:
        time_ms, _, number = value.partition(b"-")
        return int(time_ms), int(number)
    except (AttributeError, TypeError, ValueError):
        raise MetricError("not the answer of Redis") from None


def _age(entry: Any, now: float) -> float | None:
    """Returns the age of an entry (seconds); None if its id has no time in it."""
    if not isinstance(entry, list) or not entry:
        return None
    time_ms = _id(entry[0])[0]
    return max(0.0, now - time_ms / 1000) if time_ms in TIMES else None


TYPE = RedisStreamMetric
