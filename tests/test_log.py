"""Log lines."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from microscaling import log
from microscaling.settings import Settings

SECRETS = {"API_TOKEN": "hunter22", "SHORT_KEY": "abc"}
api = logging.getLogger("mssapi")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """The root's handlers and everybody's levels belong to all tests."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in log.COMPONENTS}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def started(stream: io.StringIO | None = None, **settings: str) -> io.StringIO:
    stream = stream or io.StringIO()
    log.setup(Settings(**settings), stream, SECRETS)  # type: ignore[arg-type]
    return stream


def test_plain() -> None:
    out = started()
    api.info("%d of %s", 3, "nine")
    assert re.fullmatch(r"INFO [0-2]\d:[0-5]\d:[0-5]\d\.\d{3}: 3 of nine\n", out.getvalue())


@pytest.mark.parametrize(
    ("stream", "environ", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour(stream: io.StringIO, environ: dict[str, str], coloured: bool) -> None:
    log.setup(Settings(), stream, environ)
    api.warning("x")
    assert stream.getvalue().startswith("\x1b[33mWARNING\x1b[0m " if coloured else "WARNING ")


def test_json() -> None:
    out = started(log_format="json")
    api.info("%s", "a\nb")
    line = json.loads(out.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "INFO", "component": "mssapi", "message": "a\nb"}
    assert out.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("none", []),
        ("mssapi", ["mssapi"]),
        ("mssapi,mssconfig", ["mssapi", "mssconfig"]),
        ("mssconfig mssapi", ["mssapi", "mssconfig"]),
        ("detail", []),
        ("all", sorted(log.COMPONENTS)),
    ],
)
def test_debug_by_component(chosen: str, said: list[str]) -> None:
    out = started(log_debug=chosen)
    for name in sorted((*log.COMPONENTS, "urllib3")):
        logging.getLogger(name).debug("here is %s", name)
    assert re.findall("here is (.*)", out.getvalue()) == said


def test_unknown_component_is_said() -> None:
    assert 'there is no component "mssfoo"; there are mssagent,' in started(log_debug="mssfoo").getvalue()


@pytest.mark.parametrize("form", ["plain", "json"])
def test_detail(form: str) -> None:
    out = started(log_debug="detail", log_format=form)
    api.info("x")
    assert "test_log.py" in out.getvalue()
    assert str(logging.LogRecord("", 0, "", 0, "", (), None).process) in out.getvalue()


@pytest.mark.parametrize("form", ["plain", "json"])
def test_secrets_are_masked(form: str) -> None:
    out = started(log_format=form, azure_storage_account_key="s3cr3t/key")
    try:
        raise ValueError("with hunter22")
    except ValueError:
        api.exception("%s and %s, abc", "hunter22", "s3cr3t/key")
    assert "*** and ***, abc" in out.getvalue()
    assert "hunter22" not in out.getvalue()


@pytest.mark.parametrize("form", ["plain", "json"])
def test_secrets_that_are_found_later_are_masked_too(form: str) -> None:
    out = started(log_format=form)
    assert log.masked("of a configuration") == "of a configuration"
    log.keep_secret(["of a configuration"])
    api.info("%s and %s", "hunter22", "of a configuration")
    assert "*** and ***" in out.getvalue()
    assert log.masked("hunter22, of a configuration, http://me:x@h") == "***, ***, http://me:***@h"


def test_without_a_log_only_what_looks_secret_is_masked() -> None:
    logging.getLogger().handlers[:] = []
    log.keep_secret(["hunter22"])
    assert log.masked("hunter22 http://me:x@h") == "hunter22 http://me:***@h"


def test_what_others_add_to_a_record_is_masked() -> None:
    out = started(log_format="json")
    api.info("x", extra={"about": ["hunter22"]})
    assert json.loads(out.getvalue())["about"] == "['***']"


@pytest.mark.parametrize("form", ["plain", "json"])
def test_what_cannot_be_logged_is_not_shown(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = started(log_format=form)
    logging.getLogger().handlers[:] = [
        h for h in logging.getLogger().handlers if h.__module__ == log.__name__
    ]
    api.info("%d", "hunter22")
    told = capsys.readouterr().err
    assert re.fullmatch(r".*test_log\.py:\d+: cannot be logged: TypeError\n", told)
    assert not out.getvalue()


def test_nothing_can_pass_for_a_line_of_its_own() -> None:
    out = started()
    forged = "x\nINFO 15:04:05.000: all is well\r\x1b[2K\u2028y"
    try:
        raise ValueError(forged)
    except ValueError:
        api.exception("task %s", forged)
    first, *others = out.getvalue().splitlines()
    assert first.endswith(r": task x\nINFO 15:04:05.000: all is well\r\x1b[2K\u2028y")
    assert others[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in others)


def test_other_handlers_see_the_record_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    started()
    api.info("%s", "hunter22")
    assert caplog.messages == ["hunter22"]


def test_the_last_setup_counts() -> None:
    first, second = started(), started()
    api.info("x")
    assert (first.getvalue().count("x"), second.getvalue().count("x")) == (0, 1)


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize("secret", ["short", "characters", "token: is", "16"])
def test_the_fixed_words_of_a_line_do_not_give_a_secret_away(form: str, secret: str) -> None:
    out = started(log_format=form, api_token=secret)
    api.warning("the token: is shorter than %d characters, got %s and %r", 16, secret, f"a {secret}")
    said = "the token: is shorter than 16 characters, got "
    assert said in out.getvalue()
    assert secret == "16" or "characters, got *** and 'a ***'" in out.getvalue()


def test_an_argument_is_masked_before_it_is_cut_off() -> None:
    out = started(api_token="production-db-1")
    api.warning("%.20s and %.12r", "at production-db-1", "production-db-1")
    assert out.getvalue().endswith("at *** and '***'\n")
    api.warning("%(what)s", {"what": "production-db-1"})
    assert out.getvalue().endswith(": ***\n")
