"""Reading of small files as a whole: secrets and configurations."""

from __future__ import annotations

import os
import stat


def read_small(path: str, most_bytes: int) -> bytes:
    """Returns the bytes of a regular file of at most `most_bytes`. Raises ValueError with a short reason,
    which never quotes the content, as that may be a secret."""
    try:
        # Without O_NONBLOCK, opening a pipe without a writer would hang the start.
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
    """The reason not to use a file, apart from other ValueErrors."""
