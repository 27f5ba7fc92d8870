"""A SQLite file: what its URL says, and how to read it beside those who write it."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import parse_qsl, quote, urlencode

from microscaling.errors import ConfigError
from microscaling.secrets.masking import mask
from microscaling.utils.text import one_line, short

log = logging.getLogger("mssmetric")

FORMS = "sqlite:///relative/path or sqlite:////absolute/path"
OPTIONS = re.compile(r"([A-Za-z_]\w*=[^&?]*(&[A-Za-z_]\w*=[^&?]*)*)?")
PASSED_ON = ("cache", "immutable", "nolock", "psow", "vfs")
"""To SQLite, as it knows them (its documentation, "URI Filenames")."""
OURS = ("mode", "timeout", "uri", "check_same_thread", "isolation_level", "cached_statements")
"""Those of SQLAlchemy and Python too, that change nothing: the file is only read, within a time of ours."""
WAL_HEADER = 18
"""Where the file says that it is in WAL mode, by a 2 (SQLite's "Database File Format", 1.3.3)."""


def public_name(url: str) -> str:
    """As logs may show it: with other databases it would have a password, or an option that is secret."""
    return one_line(mask(url.partition("?")[0], ()))


def parsed(url: str) -> tuple[str, dict[str, str]]:
    """Path and options of the file that a database URL names. Raises ConfigError.

    The form is the usual one (SQLAlchemy's): what follows the third slash is the path, to the letter. A
    ? with what looks like options behind it ends it.
    """
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if not colon:
        raise ConfigError(f"SQL metric: the database has to be a URL: {FORMS}")
    if scheme.partition("+")[0] != "sqlite":
        # The rest may hold a password.
        raise ConfigError(
            f"SQL metric: databases of the kind {short(scheme)!r} are not supported; expected {FORMS}"
        )
    path = rest.removeprefix("///")
    options: dict[str, str] = {}
    before, mark, after = path.rpartition("?")
    if mark and OPTIONS.fullmatch(after):
        path, options = before, dict(parse_qsl(after))
        _check_options(options)
    path = path.removeprefix("file:")
    if path in ("", ":memory:") or not rest.startswith("///"):
        raise ConfigError(f"SQL metric: {public_name(url)} names no file; expected {FORMS}")
    return path, options


def _check_options(options: dict[str, str]) -> None:
    for name, value in options.items():
        if name not in (*PASSED_ON, *OURS):
            log.warning("SQL metric: SQLite knows no option %s, so it is ignored", short(name))
        if name == "mode" and value == "memory":
            raise ConfigError(f"SQL metric: mode=memory names no file; expected {FORMS}")


class Database:
    """One file. Opened anew each time: it may be replaced by another. Raises ConfigError."""

    def __init__(self, url: str) -> None:
        self.path, options = parsed(url)
        self._options = {name: value for name, value in options.items() if name in PASSED_ON}

    @contextmanager
    def opened(self, timeout_s: float) -> Iterator[sqlite3.Connection]:
        """A connection that only reads. Raises sqlite3.Error, or ValueError for a path that is none."""
        options = {"mode": "ro", **self._options}
        before = self._stamp() if self._rests() else None
        if before is not None:
            # Else SQLite would make a -wal and a -shm, for which it needs the right to write here.
            options["immutable"] = "1"
        # Two slashes: else a path that begins with two of its own would name a host.
        uri = f"file://{quote(os.path.abspath(self.path))}?{urlencode(options)}"
        with closing(sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)) as connection:
            yield connection
        if before is not None and before != self._stamp():
            raise sqlite3.OperationalError("the database was written to while it was read; next time again")

    def obstacle(self) -> str:
        """Why the file cannot be read, where SQLite only says that it cannot; empty: no reason is known."""
        user = f"user {os.geteuid()}, as which this runs,"
        try:
            with open(self.path, "rb") as file:
                wal = file.read(WAL_HEADER + 1)[WAL_HEADER:] == b"\2"
        except FileNotFoundError:
            part = "; what follows the ? is no option=value, so it is taken for a part of the name"
            return "there is no such file" + ("?" in self.path) * part
        except IsADirectoryError:
            return "it is a folder"
        except PermissionError:
            return f"{user} may not read the file, or not enter its folder"
        except (OSError, ValueError):
            return ""
        if not wal:
            return ""
        for end in ("-wal", "-shm"):
            name = os.path.abspath(self.path) + end
            if os.path.exists(name) and not os.access(name, os.R_OK):
                return f"{user} may not read {one_line(name)}, which has the latest changes"
        folder = os.path.dirname(os.path.abspath(self.path))
        if not os.path.exists(self.path + "-shm") and not os.access(folder, os.W_OK):
            return f"{user} may not write into {one_line(folder)}, as its WAL mode needs"
        return ""

    def _rests(self) -> bool:
        """Whether all is in the file itself, though it is in WAL mode, and SQLite could not open it the usual
        way. Nobody has it open then: the last to close it removes the -wal."""
        folder = os.path.dirname(os.path.abspath(self.path))
        if os.access(folder, os.W_OK) or os.path.exists(self.path + "-wal"):
            return False
        try:
            with open(self.path, "rb") as file:
                return file.read(WAL_HEADER + 1)[WAL_HEADER:] == b"\2"
        except (OSError, ValueError):
            return False

    def _stamp(self) -> object:
        """Changes when somebody writes to the database."""
        try:
            found = os.stat(self.path)
        except (OSError, ValueError):
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, os.path.exists(self.path + "-wal")
