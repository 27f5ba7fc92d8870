"""A database server as a source: one kept connection, over which all its tasks ask."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from microscaling.clients.http.client import public_url
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Source
from microscaling.secrets.masking import mask, secrets_of_url
from microscaling.utils.deadline_call import DeadlineCaller
from microscaling.utils.text import one_line
from microscaling.utils.threads import StoppableThread, stop_all

DEADLINE_S = 1.0
OF_SERVER = 0.9
"""Part of the remaining time after which the server itself gives a statement up."""
CLOSE_S = 0.5
Rows = Sequence[tuple[Any, ...]]
Values = Sequence[Any] | Mapping[str, Any]
Run = Callable[[str, Values, int], Rows]
"""Asks a statement with its values, of which so many rows are expected. Raises Refused."""


class Refused(Exception):
    """The server's own error for a statement, in one line; the connection can be used further.

    `code`: SQLSTATE, or empty."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class TooMany(Exception):
    """A statement has more rows than were asked for; the connection cannot be used further."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the query yields more than {'one row' if most == 1 else f'{most} rows'}")


class Link(ABC):
    """A connection to a database server, for one thread at a time."""

    @abstractmethod
    def open(self, timeout_s: float) -> None:
        """Connects, with a deadline for each step. Raises any error of the library."""

    @abstractmethod
    def rows(self, statement: str, values: Values, timeout_s: float, most: int) -> Rows:
        """Returns the rows of one statement that only reads, in a transaction of its own. The server gives it
        up after `timeout_s`. Raises Refused, TooMany, or any error of the library if the connection is
        lost."""

    @abstractmethod
    def abort(self) -> None:
        """Ends the connection from another thread: a call under way fails at once."""

    @abstractmethod
    def close(self) -> None:
        """Ends the connection, in the thread that uses it."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A kind of database server."""

    name: str
    extra: str
    """The extra with its library."""
    library: str
    load: Callable[[], object]
    """Raises ImportError without the library."""
    check: Callable[[str], object]
    """Raises ConfigError for an invalid URL, without the URL: it may contain a password."""
    link: Callable[[str], Link]
    """Returns a connection to a URL, which is not open yet."""
    reason: Callable[[BaseException], str]
    """The text of an error of the library."""
    listener: (
        Callable[[str, str, Callable[[], Collection[str]], Callable[[], None]], StoppableThread] | None
    ) = None
    """Returns a thread that calls a function at each notification in some channels, given the name of the
    source, its URL, the channels and the function; None: such a server has no notifications."""


class Question(ABC):
    """A statement, asked once for all metrics of one source that have an equal one."""

    key: Hashable
    channel = ""
    """The channel of notifications about a new job; empty: there is none."""

    @abstractmethod
    def ask(self, run: Run) -> Any:
        """Asks by `run`, and returns the answer for `Metric.read`. Raises Refused, or MetricError."""

    def also(self, other: Question) -> None:
        """Adds what an equal question of another task asks for."""


class DatabaseSource(Source):
    """One database: asks the questions of all its tasks over one connection, one after the other.

    A statement that the server refuses is an error for its own tasks only. After any other error the
    connection is opened anew.
    """

    def __init__(self, url: str, driver: Driver, question: Question, deadline_s: float = DEADLINE_S) -> None:
        self.key = ("database", url)
        self.name = f"{driver.name} at {public_url(url)}"
        self.secrets = secrets_of_url(url)
        self.questions: dict[Hashable, Question] = {question.key: question}
        self._url = url
        self._driver = driver
        self._deadline_s = deadline_s
        self._link: Link | None = None
        self._calls = DeadlineCaller(self.name)
        self._took: dict[Hashable, float] = {}
        self._listener: StoppableThread | None = None

    def also(self, other: Source) -> None:
        if isinstance(other, DatabaseSource):
            for key, question in other.questions.items():
                if key in self.questions:
                    self.questions[key].also(question)
            self.questions = {**other.questions, **self.questions}

    def check(self) -> None:
        try:
            self._driver.load()
        except ImportError:
            raise ConfigError(self._needs()) from None

    def fetch(self) -> Mapping[Hashable, Any]:
        """Returns for each question its answer, or the MetricError in its place."""
        until = time.monotonic() + self._deadline_s
        try:
            # In a thread of its own: the time-outs of the libraries are per read, or for connecting only.
            answers = self._calls.call(lambda: self._answers(until), self._deadline_s)
        except TimeoutError:
            self._abort()
            raise self._late() from None
        except ImportError:
            raise MetricError(self._needs()) from None
        self._listen()
        return answers

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        if self._listener is not None:
            stop_all([self._listener], CLOSE_S)
            self._listener = None
        try:
            # Never while a call uses the connection: the libraries would read freed memory.
            self._calls.call(self._drop, CLOSE_S)
        except TimeoutError:
            self._abort()

    def _channels(self) -> Collection[str]:
        """Returns the channels of all questions."""
        return {question.channel for question in self.questions.values() if question.channel}

    def _listen(self) -> None:
        """Starts to listen, if there is anything to listen to, and an engine that can look early."""
        listener, news = self._driver.listener, self.news
        if self._listener is None and listener is not None and news is not None and self._channels():
            self._listener = listener(self.name, self._url, self._channels, news)
            self._listener.start()

    def _answers(self, until: float) -> dict[Hashable, Any]:
        # A copy by `sorted` below: another thread may add questions meanwhile.
        answers: dict[Hashable, Any] = {}
        # The slow ones last, so that one which takes all the time takes it from no other.
        for question in sorted(self.questions.values(), key=lambda question: self._took.get(question.key, 0)):
            begun = time.monotonic()
            try:
                answers[question.key] = self._answer(question, until)
            except MetricError as error:
                answers[question.key] = error
            self._took[question.key] = time.monotonic() - begun
        return answers

    def _answer(self, question: Question, until: float) -> Any:
        def run(statement: str, values: Values, most: int) -> Rows:
            if self._link is None:
                # Known before it is open, so that it can be aborted while it connects.
                self._link = self._driver.link(self._url)
                self._link.open(self._left(until))
            return self._link.rows(statement, values, self._left(until) * OF_SERVER, most)

        try:
            return question.ask(run)
        except Refused as error:
            raise self._error(str(error)) from None
        except MetricError as error:
            raise self._error(str(error)) from None
        except ImportError:
            raise
        except Exception as error:  # any type: an answer that is none of the protocol breaks the libraries
            self._drop()  # a late answer would be taken for that to the next statement
            if time.monotonic() >= until:
                raise self._late() from None
            raise self._error(self._driver.reason(error)) from None

    def _left(self, until: float) -> float:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _abort(self) -> None:
        """Ends the connection of a call that goes on: that fails then, and closes it."""
        if link := self._link:
            link.abort()

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _late(self) -> MetricError:
        return MetricError(f"{self.name}: no complete answer within {self._deadline_s:g} s")

    def _error(self, reason: str) -> MetricError:
        return MetricError(f"{self.name}: {one_line(mask(reason, self.secrets))}")

    def _needs(self) -> str:
        extra, library = self._driver.extra, self._driver.library
        return f"{self.name} needs {library}: pip install '.[{extra}]' in the clone"
