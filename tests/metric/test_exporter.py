"""A series in the text of an exporter; with a real exporter in tests/contract as well."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from microscaling.errors import ConfigError, MetricError
from microscaling.metric.exporter import ExporterMetric, parse_series
from tests.metric.faulty import Server, answers

pytest.importorskip("prometheus_client", reason="prometheus-client is not here: pip install '.[exporter]'")

URL = "http://127.0.0.1:1/metrics?secret=hunter22"
TEXT = rb"""# HELP waiting Jobs that nobody has taken.
# TYPE waiting gauge
waiting{queue="mail",vhost="/"} 12
waiting{queue="mail",vhost="/b"} 1.5
waiting{queue="a \"b\"\n\\",vhost="/"} 3 1395066363000
waiting_total 99
temperature -1
unknown NaN
# TYPE took histogram
took_bucket{le="+Inf"} 8
took_count 8
took_sum 1e3
"""


def read(series: str, text: bytes = TEXT, **more: object) -> int:
    metric = ExporterMetric(URL, series)
    for name, value in more.items():
        setattr(metric, name, value)
    assert metric.source is not None
    return metric.read(metric.source.parsed(text))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("series", "number"),
    [
        ('waiting{queue="mail",vhost="/"}', 12),
        ("waiting{vhost='/b'}", 2),
        (' waiting { queue = "mail" , vhost = "/" } ', 12),
        (r'waiting{queue="a \"b\"\n\\"}', 3),
        ("waiting_total", 99),
        ("took_bucket", 8),
        ("took_sum{}", 1000),
        ("sum(waiting)", 17),
        ('sum(waiting{queue="mail"})', 14),
        ("sum(took_count)", 8),
    ],
)
def test_the_right_series(series: str, number: int) -> None:
    assert read(series) == number


@pytest.mark.parametrize(
    ("series", "said"),
    [
        (
            'waiting{vhost="/"}',
            r'2 series where one is expected \(\{queue="mail", vhost="/"\}; .*\): add a label, or put sum',
        ),
        ('waiting{queue="mial"}', r'no series has these labels; there is \{queue="mail", vhost="/"\}; '),
        ("wating", "there is no series wating; is waiting meant"),
        ("nothing", "there is no series nothing$"),
        ("temperature", "temperature: -1 is out of range .*; atLeast: 0 counts it as 0"),
        ("unknown", "unknown: expected a whole number, got nan"),
        ("sum(temperature)", "out of range"),
        ("sum(unknown)", "entry 0: expected a whole number, got nan"),
    ],
)
def test_no_number(series: str, said: str) -> None:
    with pytest.raises(MetricError, match=said) as error:
        read(series)
    assert "hunter22" not in str(error.value)


def test_what_is_not_there_may_count_as_empty() -> None:
    assert read("nothing", missing="empty") == 0
    assert read('waiting{queue="new"}', missing="empty") == 0
    assert read("temperature", at_least=0) == 0


@pytest.mark.parametrize(
    "text", [b'waiting{queue="mail" 12\n', b"waiting twelve\n", b"waiting{\n", b"waiting\n"]
)
def test_text_of_another_format(text: bytes) -> None:
    with pytest.raises(MetricError, match=r"waiting cannot be read: ") as error:
        read("waiting", text)
    assert str(error.value).isprintable()


def test_html_has_no_series() -> None:
    with pytest.raises(MetricError, match="there is no series waiting"):
        read("waiting", b"<html>\n<title>waiting 7</title>\n</html>\n")


@pytest.mark.parametrize("series", ["waiting_total", "took_sum", "nothing"])
@pytest.mark.parametrize("cut", [1, 2, len(b"took_sum 1e3\n")])
def test_an_answer_that_is_cut_off_is_no_number(series: str, cut: int) -> None:
    """Of an answer without a length (HTTP/1.0), 12 may be the beginning of 1234."""
    cut_off = TEXT[:-cut] if cut < 3 else TEXT[: TEXT.index(b"9\ntemperature")]
    with pytest.raises(MetricError, match="the answer is cut off, or of another format"):
        read(series, cut_off, missing="empty")


def test_a_cut_off_answer_of_a_server() -> None:
    """The server closes in the middle of the last number."""

    def half(server: Server, sock: socket.socket) -> bool:
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nwaiting 12")
        return False

    with Server(half) as server:
        metric = ExporterMetric(server.url("/metrics"), "waiting")
        assert metric.source is not None
        with pytest.raises(MetricError, match="the answer is cut off"):
            metric.source.fetch()
        metric.source.close()


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"\nw", b"\n \t w"),
        TEXT.replace(b"\nw", b"\n\n\tw"),
        TEXT + b"# EOF",
    ],
    ids=["CRLF", "blanks", "empty lines", "OpenMetrics"],
)
def test_the_lines_of_the_format(text: bytes) -> None:
    assert read("waiting_total", text) == 99
    assert read("sum(waiting)", text) == 17
    assert read("took_sum", text) == 1000


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ("", "expected a series such as"),
        ("a b", "expected a series such as"),
        ("sum(waiting", "expected a series such as"),
        ("max(waiting)", "expected a series such as"),
        ('{queue="a"}', "expected a series such as"),
        ("waiting{queue=a}", 'expected labels such as queue="mail"'),
        ('waiting{queue=~"a.*"}', 'expected labels such as queue="mail"'),
        ('waiting{queue="a}', 'expected labels such as queue="mail"'),
    ],
)
def test_bad_series(series: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^series: {said}"):
        parse_series(series)


def test_one_request_for_all_tasks() -> None:
    with Server(answers(TEXT)) as server:
        first, second = (
            ExporterMetric(server.url("/metrics"), name) for name in ("waiting_total", "took_count")
        )
        assert first.source is not None
        assert second.source is not None
        assert first.source.key == second.source.key
        first.source.also(second.source)
        answer = first.source.fetch()
        first.source.close()
    assert (first.read(answer), second.read(answer), len(server)) == (99, 8, 1)
    assert b"Accept: text/plain;version=0.0.4\r\n" in server.heads[0]


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    make = f"from microscaling.metric.exporter import *; ExporterMetric({URL!r}, 'a')"
    code = f"import sys; {make}; print('prometheus_client' in sys.modules, 'requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    metric = ExporterMetric(URL, "waiting")
    assert metric.source is not None
    with pytest.raises(
        ConfigError, match=r"metricType Exporter needs prometheus-client: pip install '\.\[exporter\]'"
    ):
        metric.source.check()
