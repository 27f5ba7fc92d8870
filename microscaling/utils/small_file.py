"""Small files, read whole: secrets and configurations."""

from __future__ import annotations

import os
import stat


def read_small(path: str, most_bytes: int) -> bytes:
    """The file's bytes. Raises ValueError that says why not in a few words, and nothing of what is in it."""
    try:
        # A pipe that nobody writes to must not hang the start.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _Unfit("is not a regular file")
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise _Unfit(f"cannot be read: {error.strerror}") from None
    except _Unfit:
        raise
    except ValueError:  # a NUL in the path
        raise _Unfit("is no path of a file") from None
    if len(data) > most_bytes:
        raise _Unfit(f"is longer than {most_bytes} bytes")
    return data


class _Unfit(ValueError):
    """A file that is not what it should be."""
