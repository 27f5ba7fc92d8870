"""The output of a process: a file of bounded length."""

from __future__ import annotations

import contextlib
import os

# A file and not a pipe, as a pipe would not outlive the agent.
MAX_BYTES = 1 << 20
KEPT = 1 << 14
"""Bytes: a file longer than MAX_BYTES is cut to its last KEPT."""


def tail(path: str) -> bytes:
    """Returns the end of the file; empty if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - KEPT))
            return file.read(KEPT)
    except OSError:
        return b""


def trim(path: str) -> None:
    """Cuts the file if it is too long."""
    with contextlib.suppress(OSError):
        if os.path.getsize(path) > MAX_BYTES:
            end = tail(path)
            os.truncate(path, 0)  # the writer appends, so it goes on at the new end
            with open(path, "ab") as file:
                file.write(end)
