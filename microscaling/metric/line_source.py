"""A source with a protocol of text lines: the questions of all tasks of one server in one request."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from microscaling.clients.http.client import public_url
from microscaling.clients.tcp.lines import Answer, LineConnection
from microscaling.errors import ConfigError, MetricError
from microscaling.metric.base import Source, whole_number
from microscaling.metric.missing import Hint, alike
from microscaling.utils import urls
from microscaling.utils.text import cause_of

DEADLINE_S = 1.0
MAX_DIGITS = 16


class LineSource(Source):
    """One server, asked for all queues of its tasks at once. A subclass has the protocol."""

    scheme = ""
    """The scheme of its URLs, which is the program's name, too."""
    port = 0
    """Its default port."""
    noun = "queue"
    """A queue, in the words of the program."""

    def __init__(self, url: str, queue: str, deadline_s: float = DEADLINE_S) -> None:
        parts = urlsplit(url)
        self.key = (self.scheme, url)
        self.name = f"{self.scheme} at {public_url(url)}"
        self._deadline_s = deadline_s
        self._connection = LineConnection(parts.hostname or "", parts.port or self.port)
        self.hints = {queue: Hint(f"{self.name}: the {self.noun}", queue)}
        """By the name of each queue that is asked for."""

    @abstractmethod
    def request(self, queues: Iterable[str]) -> bytes:
        """Returns the request for these queues."""

    @abstractmethod
    def found(self, answer: Answer, queues: Iterable[str]) -> Mapping[str, Any]:
        """Reads the answer to `request`: an entry for each queue that exists. Raises MetricError or
        OSError."""

    @abstractmethod
    def others(self, found: Mapping[str, Any]) -> Iterable[str]:
        """Returns the names of all queues that exist. Raises MetricError."""

    def also(self, other: Source) -> None:
        if isinstance(other, LineSource):
            self.hints = {**other.hints, **self.hints}

    def fetch(self) -> Mapping[str, Any]:
        """Returns an entry for each queue that exists."""
        # One look at them, as `also` may replace them meanwhile.
        hints = self.hints
        found: Mapping[str, Any] = self.exchange(
            self.request(hints), lambda answer: self.found(answer, hints)
        )
        for queue, hint in hints.items():
            if hint.is_due(queue in found):
                try:
                    hint.give(alike(queue, self.others(found)))
                except MetricError:
                    break  # only the hint fails
        return found

    def exchange(self, request: bytes, read: Any) -> Any:
        """Sends a request, and returns what `read` makes of the Answer. Raises MetricError."""
        try:
            with self._connection.exchange(request, self._deadline_s) as answer:
                return read(answer)
        except TimeoutError:
            raise MetricError(f"{self.name}: no complete answer within {self._deadline_s:g} s") from None
        except OSError as error:
            raise MetricError(f"{self.name}: {error.strerror or cause_of(error)}") from None

    def unexpected(self, answer: bytes) -> MetricError:
        """Returns the error for an answer of another form."""
        return MetricError(f"{self.name}: not an answer of {self.scheme}: {answer[:40]!r}")

    def limit(self, seconds: float) -> None:
        super().limit(seconds)
        self._deadline_s = seconds

    def close(self) -> None:
        self._connection.close()


def check_server(url: str, scheme: str, port: int) -> None:
    """Raises ConfigError for anything but scheme://host or scheme://host:port."""
    form = f"{scheme}://{scheme}:{port}"
    urls.check_url(url, (scheme,), form)
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise ConfigError(f"expected {form}")


def count_of(digits: object, what: str) -> int:
    """Returns a count that a server has written in digits. Raises MetricError, which names `what`."""
    if isinstance(digits, bytes) and digits.isdigit() and len(digits) <= MAX_DIGITS:
        digits = int(digits)
    return whole_number(digits, what)
