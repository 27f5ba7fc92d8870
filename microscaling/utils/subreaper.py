"""Child subreaper: orphans of our descendants become our children, not those of PID 1."""

from __future__ import annotations

import sys

PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37
"""linux/prctl.h, since Linux 3.4."""


def is_set() -> bool:
    """Whether this process is a child subreaper."""
    import ctypes  # takes 10 ms: only the PROCESS scheduler pays for it

    answer = ctypes.c_int(0)
    return _prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer)) and bool(answer.value)


def set_to(on: bool) -> bool:
    """Makes this process a child subreaper, or ends that. Returns False where the system has none (not
    Linux)."""
    import ctypes  # as above

    return _prctl(PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(on))


def _prctl(option: int, argument: object) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):  # a static libc
        return False
    zero = ctypes.c_ulong(0)
    return bool(prctl(option, argument, zero, zero, zero) == 0)
