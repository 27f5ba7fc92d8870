"""Queues of job frameworks in Redis: the questions of all tasks in one request."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from microscaling.clients.http.client import public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Measurement, Metric, Source, whole_number
from microscaling.metric.missing import Hint
from microscaling.metric.redis_connection import check_url, connection
from microscaling.plugins import Field
from microscaling.secrets.masking import secrets_of_url
from microscaling.utils.text import cause_of, short

Command = tuple[Any, ...]
PLAIN = frozenset({bytes, int, list, type(None)})
"""The types of replies but for errors."""

DEADLINE_S = 1.0
MAX_BYTES = 16 * 2**20
"""Bytes of an answer: Celery's messages are looked at, and have their arguments in them."""
SCANS = 10
SCANNED = 1000
"""Keys per SCAN, and SCANS of them: other queues are searched for among 10,000 keys at most."""
TOGETHER = 20
"""Queues in one transaction: of one each they would cost a third more, and all in one would hold up the other
clients of Redis."""
NO_KEY = "no such key"
URL = Field(
    "url",
    "URL",
    kind="url",
    required=True,
    secret=True,
    wide=True,
    check=check_url,
    hint="redis://host:6379/0",
)
"""The field of every framework in Redis."""
LOOK_AT = 50
LOOK_AT_ETA = Field(
    "lookAtEta",
    "Look at ETA of",
    kind="whole",
    default=LOOK_AT,
    least=0,
    most=1000,
    hint="up to so many waiting tasks are looked at for those that are for later; 0: none",
)
"""The field of those that keep jobs for later without an order by time."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to the questions for one queue."""

    now: float
    """Time of the questions (Unix seconds)."""
    first: list[Any]
    further: list[Any]


class JobsMetric(Metric):
    """A queue of a job framework (items). A subclass has the questions, and their meaning.

    All of its commands are O(1) or O(log n), and are answered at one instant, so that a job on its way from
    one state to another is in one of them. Raises ConfigError.
    """

    may_be_missing = True
    """False: the framework keeps nothing of an empty queue, so that it looks as one that does not exist."""

    def __init__(self, url: str, queue: str, *more: Hashable) -> None:
        check_url(url)
        if not queue:
            raise ConfigError("queueName: is missing")
        self.url = url
        self.queue = queue
        self.key = (self.type_name, queue, *more)
        """Metrics with equal keys ask the same."""
        self.source = JobsSource(url, self)

    @abstractmethod
    def commands(self, now: float) -> list[Command]:
        """Returns the commands to ask at `now` (Unix seconds)."""

    def further(self, first: list[Any]) -> list[Command]:
        """Returns the commands to ask once the first are answered; mostly none."""
        return []

    @abstractmethod
    def measurement(self, answers: Answers) -> int | Measurement:
        """Returns the jobs by their state. Raises MetricError."""

    @abstractmethod
    def exists(self, first: list[Any]) -> bool:
        """Returns whether the framework knows the queue, by the answers to `commands`."""

    @abstractmethod
    def known_in(self) -> str:
        """Returns the name of the set with the framework's queues, or the pattern of keys of which each queue
        has one."""

    def name_in(self, entry: str) -> str:
        """Returns the queue's name in an entry of that set, or in such a key; empty: it is none."""
        return entry

    def read(self, answer: Any) -> int | Measurement:
        # Without an entry the request was under way before this queue was added.
        found = answer.get(self.key) or MetricError(f"{self.what}: not measured yet")
        if isinstance(found, MetricError):
            raise found
        if not self.exists(found.first) and self.missing == "held":
            return self.absent(f"{self.what}: there is no such queue in {self.source_name}")
        return self.measurement(found)

    @property
    def what(self) -> str:
        """The framework and the queue, for messages."""
        return f"{self.type_name} queue {short(self.queue)}"

    @property
    def source_name(self) -> str:
        """The name of the server for messages."""
        return self.source.name if self.source is not None else ""


class JobsSource(Source):
    """One Redis: asks for the queues of all its tasks over one connection, in one request and mostly one
    round trip."""

    def __init__(self, url: str, metric: JobsMetric, deadline_s: float = DEADLINE_S) -> None:
        self.key = ("redis jobs", url)
        self.name = f"Redis at {public_url(url)}"
        self.secrets = secrets_of_url(url)
        self.metrics: dict[Hashable, JobsMetric] = {metric.key: metric}
        self.hints: dict[Hashable, Hint] = {}
        self._url = url
        self._deadline_s = deadline_s
        self._until = 0.0
        self._alone: set[Hashable] = set()
        """Questions that Redis has refused lately, each in a transaction of its own."""
        self._connection: Any = None

    def also(self, other: Source) -> None:
        if isinstance(other, JobsSource):
            self.metrics = {**other.metrics, **self.metrics}

    def check(self) -> None:
        try:
            self._connect()
        except ImportError:
            kinds = ", ".join(sorted({metric.type_name for metric in self.metrics.values()}))
            raise ConfigError(
                f"metricType {kinds} needs redis: pip install '.[redis]' in the clone"
            ) from None
        except ConfigError as error:
            raise ConfigError(f"{self.name}: {error}") from None

    def fetch(self) -> Mapping[Hashable, Answers | MetricError]:
        """Returns for each queue its answers, or the error of Redis in their place. An error of the
        connection closes it."""
        self._until = time.monotonic() + self._deadline_s
        now, metrics = time.time(), self.metrics
        first = self._round({key: metric.commands(now) for key, metric in metrics.items()})
        good = {key: found for key, found in first.items() if not isinstance(found, MetricError)}
        more = {key: commands for key, found in good.items() if (commands := metrics[key].further(found))}
        further = self._round(more) if more else {}
        answers: dict[Hashable, Answers | MetricError] = {}
        for key, found in first.items():
            then = further.get(key, [])
            if isinstance(found, MetricError) or isinstance(then, MetricError):
                answers[key] = found if isinstance(found, MetricError) else MetricError(str(then))
            else:
                answers[key] = Answers(now, found, then)
        for key, found in good.items():
            self._look_for_others(metrics[key], metrics[key].exists(found))
        return answers

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()

    def _round(self, questions: Mapping[Hashable, Sequence[Command]]) -> dict[Hashable, Any]:
        """Asks all at once, each question within a transaction. Returns for each a list of answers, or an
        error."""
        # MULTI in place of a script: hosted Redis often refuses EVAL, and nothing here has a branch.
        together = [key for key in questions if key not in self._alone]
        groups = [together[i : i + TOGETHER] for i in range(0, len(together), TOGETHER)]
        groups += [[key] for key in questions if key in self._alone]
        sent = [[("MULTI",), *(c for key in keys for c in questions[key]), ("EXEC",)] for keys in groups]
        replies = iter(self._ask([command for commands in sent for command in commands]))
        found: dict[Hashable, Any] = {}
        refused: list[Hashable] = []
        for keys, commands in zip(groups, sent, strict=True):
            answered = [next(replies) for _ in commands]
            # A command that Redis does not take, as without the right to it, takes the others along.
            if len(keys) > 1 and isinstance(answered[-1], Exception):
                refused += keys
            else:
                self._divide(answered, {key: questions[key] for key in keys}, found)
        if refused:
            self._alone.update(refused)
            found |= self._round({key: questions[key] for key in refused})
        return found

    def _divide(
        self, replies: list[Any], questions: Mapping[Hashable, Sequence[Command]], found: dict[Hashable, Any]
    ) -> None:
        """Adds the answers in one transaction to those that were found."""
        (begun, *queued), final = replies[:-1], replies[-1]
        at = 0
        for key, commands in questions.items():
            end = at + len(commands)
            answers = final[at:end] if isinstance(final, list) else final
            try:
                found[key] = _answers([begun, *queued[at:end], answers])
                self._alone.discard(key)
            except MetricError as error:
                found[key] = MetricError(f"{self.name}: {self.metrics[key].what}: {error}")
            at = end

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """Sends commands. Raises MetricError if one of them is not answered."""
        try:
            used = self._connect()
        except ImportError:
            raise MetricError(f"{self.name} needs redis: pip install '.[redis]' in the clone") from None
        except ConfigError as error:
            raise MetricError(f"{self.name}: {error}") from None
        import redis

        try:
            answers: list[Any] = used.ask_all(commands, self._until - time.monotonic(), MAX_BYTES)
            return answers
        except TimeoutError:
            self.close()  # a late answer would be taken for that to the next command
            raise MetricError(f"{self.name}: no complete answer within {self._deadline_s:g} s") from None
        except (redis.RedisError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            self.close()
            raise MetricError(f"{self.name}: {cause_of(error)}") from None

    def _connect(self) -> Any:
        """Returns the connection; it opens itself when it is first used."""
        if self._connection is None:
            self._connection = connection(self._url)
        return self._connection

    def _look_for_others(self, metric: JobsMetric, exists: bool) -> None:
        """Logs once, for a queue that has never existed, the names of those that do."""
        hint = self.hints.setdefault(
            metric.key, Hint(f"{self.name}: the {metric.type_name} queue", metric.queue)
        )
        if hint.is_due(exists):
            try:
                entries = self._entries(metric.known_in())
            except MetricError:
                return  # not permitted, or out of time: only the hint fails
            names = {name for entry in entries if (name := metric.name_in(entry))}
            if names or metric.may_be_missing:
                hint.give_all(names)

    def _entries(self, place: str) -> Iterable[str]:
        """Returns the entries of a set, or the keys that match a pattern, of up to 10,000 keys."""
        if "*" not in place:
            return _texts(self._one("SMEMBERS", place))
        cursor, keys = "0", list[str]()
        for _ in range(SCANS):
            answer = self._one("SCAN", cursor, "MATCH", place, "COUNT", str(SCANNED))
            cursor = answer[0].decode()
            keys += _texts(answer[1])
            if cursor == "0":
                break
        return keys

    def _one(self, *command: str) -> Any:
        answer = self._ask([command])[0]
        if isinstance(answer, Exception):
            raise MetricError(cause_of(answer))
        return answer


def count(value: object) -> int:
    """Returns a count in an answer of Redis. Raises MetricError."""
    return whole_number(value, "an answer")


def _answers(replies: list[Any]) -> list[Any]:
    """Returns the answers of a transaction; None for a stream that does not exist. Raises MetricError for an
    error in place of one."""
    final = replies[-1]
    if isinstance(final, list):
        # Mostly nothing is wrong, and hundreds of queues are looked through at each beat.
        if len(final) == len(replies) - 2 and PLAIN.issuperset(map(type, (*replies[:-1], *final))):
            return final
        # XINFO has no answer of its own for a stream that does not exist.
        final = [None if str(reply) == NO_KEY and isinstance(reply, Exception) else reply for reply in final]
    errors = [reply for reply in replies if isinstance(reply, Exception)]
    errors += [reply for reply in final if isinstance(reply, Exception)] if isinstance(final, list) else []
    if errors:
        reason = cause_of(errors[0])
        wrong = reason.startswith("WRONGTYPE")
        raise MetricError(f"{reason}; is the name that of another kind of queue?" if wrong else reason)
    if not isinstance(final, list) or len(final) != len(replies) - 2:
        raise MetricError("not the answer of Redis")
    return final


def _texts(entries: Iterable[bytes]) -> list[str]:
    return [entry.decode("utf-8", "replace") for entry in entries]
