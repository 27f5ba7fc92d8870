"""A SQLite file: its URL, and read-only access beside its writers."""

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
"""Options passed to SQLite, which knows them (its documentation, "URI Filenames")."""
OURS = ("mode", "timeout", "uri", "check_same_thread", "isolation_level", "cached_statements")
"""Options of SQLAlchemy and Python without an effect here: the file is only read, with a deadline of our
own."""
WAL_HEADER = 18
"""Offset of the file format version: 2 for WAL mode (SQLite's "Database File Format", 1.3.3)."""


def public_name(url: str) -> str:
    """Returns the URL for logs, masked: another kind of database would have a password or a secret option in
    it."""
    return one_line(mask(url.partition("?")[0], ()))


def parsed(url: str) -> tuple[str, dict[str, str]]:
    """Returns the path and the options in a database URL. Raises ConfigError.

    The form is SQLAlchemy's: the path is literally everything after the third slash, up to a ? that is
    followed by options.
    """
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if not colon:
        raise ConfigError(f"SQL metric: the database has to be a URL: {FORMS}")
    if scheme.partition("+")[0] != "sqlite":
        # The rest may contain a password, so the error quotes the kind only.
        raise ConfigError(
            f"SQL metric: databases of the kind {short(scheme)!r} are not supported; expected {FORMS}, "
            "postgresql://... or mysql://..."
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
    """One file. It is opened anew each time, as it may be replaced by another. Raises ConfigError."""

    def __init__(self, url: str) -> None:
        self.path, options = parsed(url)
        self._options = {name: value for name, value in options.items() if name in PASSED_ON}

    @contextmanager
    def opened(self, timeout_s: float) -> Iterator[sqlite3.Connection]:
        """Opens a read-only connection. Raises sqlite3.Error, or ValueError for an invalid path."""
        options = {"mode": "ro", **self._options}
        before = self._stamp() if self._rests() else None
        if before is not None:
            # Otherwise SQLite would create a -wal and a -shm, and needs write access for that.
            options["immutable"] = "1"
        # file:// in front, as a path that begins with two slashes would name a host otherwise.
        uri = f"file://{quote(os.path.abspath(self.path))}?{urlencode(options)}"
        with closing(sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)) as connection:
            yield connection
        if before is not None and before != self._stamp():
            raise sqlite3.OperationalError("the database was written to while it was read; trying again")

    def obstacle(self) -> str:
        """Returns the reason why the file cannot be read, for errors of SQLite without one; empty if
        unknown."""
        user = f"the agent's user {os.geteuid()}"
        try:
            with open(self.path, "rb") as file:
                wal = file.read(WAL_HEADER + 1)[WAL_HEADER:] == b"\2"
        except FileNotFoundError:
            part = "; the text after the ? is no option=value, so it counts as part of the name"
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
            return f"{user} may not write into {one_line(folder)}, which its WAL mode requires"
        return ""

    def _rests(self) -> bool:
        """True if the file is in WAL mode and complete in itself, but SQLite could not open it the usual
        way."""
        # The last connection to close removes the -wal: without one, no process has the file open.
        folder = os.path.dirname(os.path.abspath(self.path))
        if os.access(folder, os.W_OK) or os.path.exists(self.path + "-wal"):
            return False
        try:
            with open(self.path, "rb") as file:
                return file.read(WAL_HEADER + 1)[WAL_HEADER:] == b"\2"
        except (OSError, ValueError):
            return False

    def _stamp(self) -> object:
        """Returns a value that changes with every write to the database."""
        try:
            found = os.stat(self.path)
        except (OSError, ValueError):
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, os.path.exists(self.path + "-wal")
