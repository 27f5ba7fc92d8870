"""Which process is meant by a number."""

from __future__ import annotations

import os

PROC = "/proc"


def start_time(pid: int) -> str | None:
    """When the process started, as the system tells it; None if it has ended or there is none.

    A number of a process is used again by and by: only together with this does it name one. On Linux
    field 22 of /proc/PID/stat, see proc(5), in ticks since the boot; elsewhere what `ps` says.
    """
    if not os.path.exists(f"{PROC}/self/stat"):
        return _start_time_by_ps(pid)
    try:
        with open(f"{PROC}/{pid}/stat", "rb") as stat:
            # The name, in parentheses, may itself have blanks and parentheses: count from its end.
            fields = stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in b"ZX" else fields[19].decode()


def _start_time_by_ps(pid: int) -> str | None:
    import subprocess  # only here: `--health` should not pay for it

    ps = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}  # the same words, whoever asks
    done = subprocess.run(ps, capture_output=True, text=True, timeout=5, env=env)  # nosec B603  # all ours
    answer = done.stdout
    state, _, started = answer.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
