"""The reader of standard output, which may go away before the end, or not be there at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO


class Unwritable(Exception):
    """Standard output takes nothing more: its reader is gone, or the disk is full."""


class _Output:
    """Standard output, whose failures can be told from those of all other files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _named():
            return self._stream.write(text)

    def flush(self) -> None:
        with _named():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def for_reader(work: Callable[[], int], gone: int) -> int:
    """Returns the exit code of work that writes to standard output; `gone` if its reader, such as `head`, has
    seen enough, or, with a line on standard error, if it cannot be written."""
    _open_missing()
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no failure
    try:
        with contextlib.redirect_stdout(_Output(sys.stdout)):
            code = work()
            sys.stdout.flush()
        return code
    except Unwritable as error:
        # Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error.__cause__, BrokenPipeError):
            sys.stderr.write(f"microscaling: standard output: cannot be written: {error}\n")
        return gone


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(error.strerror or str(error)) from error


def _open_missing() -> None:
    """Has the null device in place of each standard stream whose descriptor was closed: else the next file,
    such as a socket, would get its number, and all that is written there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
