"""Process identity and ancestry: a pid and its start time, as pids are reused."""

from __future__ import annotations

import os
from dataclasses import dataclass

PROC = "/proc"


@dataclass(frozen=True, slots=True)
class Row:
    """One process in a snapshot of all of them."""

    pid: int
    parent: int
    group: int
    session: int
    """Without /proc it is the group, as `ps` does not show sessions everywhere."""
    started: str
    """In the format of `start_time`; zombies have one too."""
    zombie: bool
    stopped: bool = False
    """By SIGSTOP, or another signal of that kind."""


def start_time(pid: int) -> str | None:
    """Returns the start time of a process, in the system's own format; None if it has ended or never was.

    On Linux it is field 22 of /proc/PID/stat, see proc(5), in ticks since the boot; elsewhere the
    column `lstart` of `ps`. Only for comparison with a later call.
    """
    if has_proc():
        row = _row(pid)
        return None if row is None or row.zombie else row.started
    row = next(iter(_rows_by_ps("-p", str(pid)).values()), None)
    return None if row is None or row.zombie else row.started


def snapshot() -> dict[int, Row]:
    """Returns all processes by their pid."""
    if not has_proc():
        return _rows_by_ps("-A")
    rows = (_row(int(entry)) for entry in os.listdir(PROC) if entry.isdigit())
    return {row.pid: row for row in rows if row is not None}


def has_proc() -> bool:
    """Whether the system has Linux' /proc."""
    return os.path.exists(f"{PROC}/self/stat")


def children() -> list[int]:
    """Returns the pids of the child processes, zombies included, but without the children of threads that
    still run; empty on other systems than Linux."""
    me = os.getpid()
    try:
        # The kernel lists children per thread; the path of the main thread has its own only.
        with open(f"{PROC}/self/task/{me}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return [row.pid for row in snapshot().values() if row.parent == me] if has_proc() else []


def row(pid: int) -> Row | None:
    """Returns one process, zombies included; None if it has ended, or without /proc."""
    return _row(pid) if has_proc() else None


def has_variable(pid: int, name: str, value: str) -> bool:
    """Whether the process was started with this variable and value; False if that cannot be read."""
    try:
        with open(f"{PROC}/{pid}/environ", "rb") as environ:
            return f"{name}={value}".encode() in environ.read().split(b"\0")
    except OSError:
        return False


def _row(pid: int) -> Row | None:
    try:
        with open(f"{PROC}/{pid}/stat", "rb", buffering=0) as stat:
            # The name, in parentheses, may itself have blanks and parentheses: count from its end.
            fields = stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent, group, session = fields[:4]
    return Row(pid, int(parent), int(group), int(session), fields[19].decode(), state in b"ZX", state == b"T")


def _rows_by_ps(*which: str) -> dict[int, Row]:
    import subprocess  # only here: `--health` should not pay for it

    ps = ["ps", "-o", "pid=,ppid=,pgid=,stat=,lstart=", *which]
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}  # the same words, whatever the user's settings
    done = subprocess.run(ps, capture_output=True, text=True, timeout=5, env=env)  # nosec B603  # all ours
    rows = {}
    for line in done.stdout.splitlines():
        pid, parent, group, state, started = line.split(None, 4)
        rows[int(pid)] = Row(
            int(pid),
            int(parent),
            int(group),
            int(group),
            started.strip(),
            state.startswith("Z"),
            state.startswith("T"),
        )
    return rows
