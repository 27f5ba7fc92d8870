"""The metric of a tube of beanstalkd, by its protocol ("stats-tube" in protocol.txt)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from microscaling.clients.tcp.lines import Answer
from microscaling.errors import ConfigError
from microscaling.metric.base import Measurement, Metric
from microscaling.metric.counter import Counter
from microscaling.metric.line_source import LineSource, check_server, count_of
from microscaling.plugins import Field
from microscaling.settings import Settings

SCHEME, PORT = "beanstalkd", 11300
TUBE = re.compile(r"[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}")

Stats = Mapping[bytes, bytes]


def check_url(url: str) -> None:
    """Raises ConfigError for an invalid URL."""
    check_server(url, SCHEME, PORT)


def check_tube(name: str) -> None:
    """Raises ConfigError for a name that no tube can have (protocol.txt)."""
    if not TUBE.fullmatch(name):
        raise ConfigError("expected 1 to 200 letters, digits or any of +/;.$_()-, with no - in front")


class BeanstalkdSource(LineSource):
    """One beanstalkd."""

    scheme, port, noun = SCHEME, PORT, "tube"

    def request(self, queues: Iterable[str]) -> bytes:
        return b"".join(b"stats-tube %b\r\n" % tube.encode() for tube in queues)

    def found(self, answer: Answer, queues: Iterable[str]) -> Mapping[str, Stats]:
        # Each command has its answer, in the order of the commands.
        each = {tube: self._lines(answer) for tube in queues}
        return {tube: _pairs(lines) for tube, lines in each.items() if lines is not None}

    def others(self, found: Mapping[str, Any]) -> Iterable[str]:
        lines = self.exchange(b"list-tubes\r\n", self._lines) or []
        return [line.removeprefix(b"- ").decode("utf-8", "replace") for line in lines if line[:2] == b"- "]

    def _lines(self, answer: Answer) -> list[bytes] | None:
        """Reads one answer of YAML; None: there is no such tube."""
        head = answer.line()
        if head == b"NOT_FOUND":
            return None
        status, _, size = head.partition(b" ")
        if status != b"OK" or not size.isdigit() or len(size) > 9:
            raise self.unexpected(head)
        lines = answer.exactly(int(size)).splitlines()
        if answer.exactly(2) != b"\r\n" or lines[:1] != [b"---"]:
            raise self.unexpected(b"\n".join(lines))
        return lines


def _pairs(lines: Iterable[bytes]) -> Stats:
    return {key: value for key, _, value in (line.partition(b": ") for line in lines)}


class BeanstalkdMetric(Metric):
    """The jobs of a tube (items).

    beanstalkd has a tube only while it has jobs in it, or is used or watched, so one that does not exist is
    empty. Raises ConfigError.
    """

    type_name, summary = "Beanstalkd", "the jobs of a tube of beanstalkd"
    fields = (
        Field(
            "url",
            "URL",
            kind="url",
            required=True,
            wide=True,
            check=check_url,
            hint=f"{SCHEME}://{SCHEME}:{PORT}",
        ),
        Field("tube", "Tube", default="default", check=check_tube),
    )
    may_be_missing = True

    @classmethod
    def from_config(cls, values: Mapping[str, Any], settings: Settings) -> BeanstalkdMetric:
        return cls(values["url"], values["tube"])

    def __init__(self, url: str, tube: str = "default") -> None:
        check_url(url)
        check_tube(tube)
        self.tube = tube
        self.source = BeanstalkdSource(url, tube)
        self._counter = Counter()

    def read(self, answer: Mapping[str, Stats]) -> int | Measurement:
        if self.tube not in answer:
            return self.absent(f"beanstalkd has no tube {self.tube}")
        stats = answer[self.tube]

        def count(key: str) -> int:
            return count_of(stats.get(key.encode()), f"{key} of the tube {self.tube}")

        delayed = count("current-jobs-delayed")
        total = self._counter.total({self.tube: count("total-jobs")})
        return Measurement(
            count("current-jobs-ready"),
            count("current-jobs-reserved"),
            future=delayed,
            paused=count("pause-time-left") > 0,
            arrived=None if total is None else total - delayed,
        )


TYPE = BeanstalkdMetric
