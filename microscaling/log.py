"""Log lines, plain for people or JSON for programs, with secrets masked.

Other outgoing text (errors of the configuration, reports of monitors) is masked here too, by `masked`,
because this module knows the secrets of the process.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from microscaling.secrets.environment import secrets_in
from microscaling.secrets.masking import Secrets, mask, mask_unknown
from microscaling.settings import Settings
from microscaling.utils.text import one_line, quoted

log = logging.getLogger("mssagent")

COMPONENTS = (
    "mssagent",
    "mssapi",
    "mssconfig",
    "mssdemand",
    "mssengine",
    "mssmetric",
    "mssmonitor",
    "mssscheduler",
    "mssserver",
    "msstarget",
    "mssutils",
)
STANDARD = {*vars(logging.makeLogRecord({}))}
"""The attributes of every record; additional ones are shown in JSON."""
CLEAR = "\r\x1b[K"
"""Empties the line of a terminal (ECMA-48: EL)."""
COLOURS = {"DEBUG": 36, "INFO": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 35}


class MaskingHandler(logging.StreamHandler):  # type: ignore[type-arg]  # generic since 3.11
    """Writes to a stream, with the values of known secrets masked, tracebacks included."""

    def __init__(self, stream: TextIO, secrets: Secrets) -> None:
        super().__init__(stream)
        self.secrets = secrets
        self.status = ""
        """The last line of a terminal, below the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record above the last line of the terminal, if there is one."""
        if not self.status:
            super().emit(record)
            return
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(CLEAR)
        super().emit(record)
        self.show(self.status)

    def show(self, status: str) -> None:
        """Replaces the last line of a terminal; empty: there is none."""
        assert self.lock is not None
        with self.lock, contextlib.suppress(OSError, ValueError):
            self.status = status
            self.stream.write(CLEAR + status)
            self.flush()

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record and masks its message, traceback and additional attributes."""
        # A copy: other handlers of the same record (a test's, for example) must see it as it was.
        record = copy.copy(record)
        mask = self.secrets.mask
        record.msg, record.args = self._message(record), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None  # a formatter would render the traceback from it again, unmasked
        if record.exc_text:
            record.exc_text = mask(record.exc_text)
        for name in vars(record).keys() - STANDARD:
            setattr(record, name, mask(str(getattr(record, name))))
        return super().format(record)

    def _message(self, record: logging.LogRecord) -> str:
        """Returns the message, of our own loggers with masked arguments only, of others masked as a whole."""
        if record.name not in COMPONENTS:
            return self.secrets.mask(record.getMessage())
        # The fixed text of our own lines is public: if a secret is a word of it, masking that word there
        # would reveal the secret.
        if isinstance(record.args, tuple):
            record.args = tuple(_Masked.of(arg, self.secrets) for arg in record.args)
        elif isinstance(record.args, Mapping):
            record.args = {name: _Masked.of(arg, self.secrets) for name, arg in record.args.items()}
        return mask_unknown(record.getMessage())

    def handleError(self, record: logging.LogRecord) -> None:
        """Writes the place of the call that could not be logged."""
        # The handler of `logging` itself prints the message and its arguments, unmasked.
        if logging.raiseExceptions and sys.stderr is not None:
            kind = (sys.exc_info()[0] or Exception).__name__
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{record.pathname}:{record.lineno}: cannot be logged: {kind}\n")


class _Masked:
    """An argument of a log line, masked before the line's format cuts it off."""

    def __init__(self, arg: object, secrets: Secrets) -> None:
        self.arg = arg
        self.secrets = secrets

    @classmethod
    def of(cls, arg: object, secrets: Secrets) -> object:
        """Wraps an argument, unless it is a number."""
        # %d accepts only numbers.
        return arg if isinstance(arg, (int, float)) else cls(arg, secrets)

    def __str__(self) -> str:
        return self.secrets.mask_known(str(self.arg))

    def __repr__(self) -> str:
        return self.secrets.mask_known(repr(self.arg))


class PlainFormatter(logging.Formatter):
    """`INFO 15:04:05.000: message`, in local time; `detail` adds process, thread, file and line.

    A record is one line, followed by the indented lines of its traceback.
    """

    def __init__(self, coloured: bool, detail: bool) -> None:
        super().__init__()
        self.coloured = coloured
        self.detail = detail

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record that MaskingHandler has masked."""
        level = record.levelname
        if self.coloured:
            level = f"\x1b[{COLOURS.get(level, 0)}m{level}\x1b[0m"
        when = time.strftime("%H:%M:%S", time.localtime(record.created)) + f".{int(record.msecs):03d}"
        where = ""
        if self.detail:
            where = f" {record.process} {record.threadName} {record.name} {record.filename}:{record.lineno}"
        # Line feeds are escaped, so that foreign text cannot imitate a record of its own.
        lines = [f"{level} {when}{where}: {one_line(record.getMessage())}"]
        lines += [f"    {one_line(line)}" for line in (record.exc_text or "").splitlines()]
        return "\n".join(lines)


def setup(settings: Settings, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Sends the package's log to the stream (default: standard error), by level and format of the settings.

    A later call replaces the handler of an earlier one. Other libraries are logged from WARNING up.
    """
    stream = sys.stderr if stream is None else stream
    words = {w for w in re.split(r"[\s,;]+", settings.log_debug) if w}
    detail = "detail" in words
    found = settings.secrets() + secrets_in(f"{name}={value}" for name, value in environ.items())
    secrets = Secrets(found)
    handler = MaskingHandler(stream, secrets)
    if settings.log_format == "json":
        handler.setFormatter(_json_formatter(detail))
    else:
        handler.setFormatter(PlainFormatter(takes_colour(stream, environ), detail))
    root = logging.getLogger()
    for old in _handlers():
        root.removeHandler(old)
    root.addHandler(handler)
    for component in COMPONENTS:
        chosen = "all" in words or component in words
        logging.getLogger(component).setLevel(logging.DEBUG if chosen else logging.INFO)
    unknown = words - {"none", "all", "detail", *COMPONENTS}
    if unknown:
        log.warning(
            "MSS_LOG_DEBUG: there is no component %s; there are %s, all and detail",
            ", ".join(quoted(word) for word in sorted(unknown)),
            ", ".join(COMPONENTS),
        )


def terminal() -> MaskingHandler | None:
    """Returns the handler whose lines go to a terminal that people look at; None: there is none."""
    for handler in _handlers():
        # JSON is for programs, whatever it is written to.
        plain = isinstance(handler.formatter, PlainFormatter)
        if plain and handler.stream.isatty() and os.environ.get("TERM") != "dumb":
            return handler
    return None


def keep_secret(values: Iterable[str]) -> None:
    """Masks these values as well from now on, in the log and by `masked`."""
    values = list(values)
    for handler in _handlers():
        handler.secrets.add(values)


def masked(text: str) -> str:
    """Masks the known secrets in a text that is about to leave the process."""
    handlers = _handlers()
    return handlers[0].secrets.mask_again(text) if handlers else mask(text, ())


def guard_crashes() -> None:
    """Sends uncaught exceptions of all threads through the log from now on."""
    # Python's own hooks print the exception unmasked. There may be no settings yet, so the defaults serve.
    if not _handlers():
        setup(Settings())
    sys.excepthook = _log_crash
    threading.excepthook = lambda about: _log_crash(about.exc_type, about.exc_value, about.exc_traceback)
    sys.unraisablehook = lambda about: _log_crash(about.exc_type, about.exc_value, about.exc_traceback)


def _log_crash(kind: type[BaseException], error: BaseException | None, trace: Any) -> None:
    error = kind() if error is None else error
    log.critical("unexpected: %s", kind.__name__, exc_info=(kind, error, trace))


def _handlers() -> list[MaskingHandler]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, MaskingHandler)]


def takes_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Returns whether lines for the stream are coloured: on a terminal, unless NO_COLOR is set."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _json_formatter(detail: bool) -> logging.Formatter:
    # Imported only here: a start with plain lines should not pay for the import.
    from pythonjsonlogger.json import JsonFormatter

    names = {"levelname": "level", "name": "component"}
    if detail:
        names |= {"process": "process", "threadName": "thread", "filename": "file", "lineno": "line"}
    formatter = JsonFormatter(
        ["asctime", *names, "message"], rename_fields={"asctime": "time", "exc_info": "traceback", **names}
    )
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    return formatter
