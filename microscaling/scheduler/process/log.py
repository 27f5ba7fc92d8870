"""What a process writes: a file, bounded by cutting it back, since a pipe would not outlive the agent."""

from __future__ import annotations

import contextlib
import os

MOST = 1 << 20
KEPT = 1 << 14
"""Bytes: a file that has grown beyond the former is cut back to the latter."""


def tail(path: str) -> bytes:
    """The end of it; empty if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - KEPT))
            return file.read(KEPT)
    except OSError:
        return b""


def trim(path: str) -> None:
    """Cuts it back if it is too long. Its writer appends, so it goes on where the file ends now."""
    with contextlib.suppress(OSError):
        if os.path.getsize(path) > MOST:
            end = tail(path)
            os.truncate(path, 0)
            with open(path, "ab") as file:
                file.write(end)
