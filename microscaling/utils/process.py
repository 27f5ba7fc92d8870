"""Process identity and ancestry: a pid and its start time, as pids are reused."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from microscaling.errors import TemporaryError

PROC = "/proc"
STILL = (b"T", b"t", b"D", b"Z", b"X")
"""The states of threads that run nothing of their programs, see proc(5)."""
KERNEL_THREAD = 0x00200000
"""PF_KTHREAD of linux/sched.h."""
EXEC_S = 1.0
"""Longest wait for the begin of a program: on a busy machine it takes up to a tenth of that."""
POLL_S = 0.001
PS_S = 5.0
"""Deadline of `ps`."""


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
    waits: bool = False
    """For what no signal interrupts, such as the exec of a child after vfork."""


def start_time(pid: int) -> str | None:
    """Returns the start time of a process, in the system's own format; None if it has ended or never was.

    On Linux it is field 22 of /proc/PID/stat, see proc(5), in ticks since the boot; elsewhere the
    column `lstart` of `ps`. Only for comparison with a later call. Raises TemporaryError if `ps` fails, which
    is no sign of an end.
    """
    if has_proc():
        row = _row(pid)
        return None if row is None or row.zombie else row.started
    row = next(iter(_rows_by_ps("-p", str(pid)).values()), None)
    return None if row is None or row.zombie else row.started


def may_live(pid: int, started: str = "") -> bool:
    """False if the process with that start time, or any with that pid, has ended; True also if that cannot be
    seen now."""
    try:
        now = start_time(pid)
    except TemporaryError:
        return True
    return now is not None and started in ("", now)


def snapshot() -> dict[int, Row]:
    """Returns all processes by their pid. Raises TemporaryError if `ps` fails."""
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


def may_run(pid: int, group: int) -> bool:
    """True if a process of this group has a thread that may run its program: one that has neither stopped,
    nor ended, nor waits in the kernel for what no signal interrupts. Only with /proc."""
    try:
        threads = os.listdir(f"{PROC}/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(_may_run(f"{pid}/task/{thread}", group) for thread in threads)


def _may_run(path: str, group: int) -> bool:
    fields = _fields(path)
    return fields is not None and int(fields[2]) == group and fields[0] not in STILL


def has_variable(pid: int, name: str, value: str) -> bool:
    """Whether the process was started with this variable and value; False if that cannot be read."""
    try:
        return f"{name}={value}".encode() in _environ(pid).split(b"\0")
    except OSError:
        return False


def _environ(pid: int) -> bytes:
    """Returns the environment of a process. Raises OSError."""
    # While a program is loaded in place of the one before, until the kernel has laid out its memory, it shows
    # neither its environment nor its arguments; one that shows the same arguments twice has no environment.
    until = time.monotonic() + EXEC_S
    shown = b""
    while not (environ := _read(pid, "environ")):
        before, shown = shown, _read(pid, "cmdline")
        if (shown and shown == before) or time.monotonic() >= until:
            break
        if not shown:
            if _shows_nothing(pid):
                break
            time.sleep(POLL_S)
    return environ


def _shows_nothing(pid: int) -> bool:
    """True for a process that has ended, or is the kernel's own."""
    fields = _fields(str(pid))
    return fields is None or fields[0] in (b"Z", b"X") or bool(int(fields[6]) & KERNEL_THREAD)


def _read(pid: int, name: str) -> bytes:
    with open(f"{PROC}/{pid}/{name}", "rb") as file:
        return file.read()


def _fields(path: str) -> list[bytes] | None:
    """Returns the fields of the file `stat` from the third on, the state; None if there is no such task."""
    try:
        with open(f"{PROC}/{path}/stat", "rb", buffering=0) as stat:
            # The name, in parentheses, may itself have blanks and parentheses: count from its end.
            return stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _row(pid: int) -> Row | None:
    fields = _fields(str(pid))
    if fields is None:
        return None
    state, parent, group, session = fields[:4]
    since = fields[19].decode()
    return Row(
        pid, int(parent), int(group), int(session), since, state in b"ZX", state == b"T", state == b"D"
    )


def _rows_by_ps(*which: str) -> dict[int, Row]:
    import subprocess  # only here: `--health` should not pay for it

    ps = ["ps", "-o", "pid=,ppid=,pgid=,stat=,lstart=", *which]
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}  # the same words, whatever the user's settings
    try:
        done = subprocess.run(ps, capture_output=True, text=True, timeout=PS_S, env=env)  # nosec B603  # all ours
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemporaryError(f"cannot see which processes run: {error}") from error
    # If the process that is asked for has ended, it ends with 1, too, but says nothing.
    if done.returncode and (done.stderr or not which[1:]):
        why = " ".join(done.stderr.split())[:80] or f"exit code {done.returncode}"
        raise TemporaryError(f"cannot see which processes run: ps: {why}")
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
