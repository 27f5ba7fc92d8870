"""Looks at local processes, and calls beside them."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess  # nosec B404
import sys
import time
from collections.abc import Sequence
from typing import Any

from microscaling.demand.drain import Activity, Busy, Call, Way
from microscaling.demand.warm import Warm
from microscaling.errors import NotReady, PermanentError, TemporaryError
from microscaling.scheduler.containers.busy_file import MAX_BYTES, activity_of, until_in
from microscaling.scheduler.process.program import Program
from microscaling.scheduler.process.unit import Unit, file_of
from microscaling.utils.process import PROC, has_proc, snapshot
from microscaling.utils.text import cause_of

EXEC_S = 8.0
"""Deadline of a command."""
SAMPLE_S = 0.5
"""Seconds between the two measurements of the processor."""
IDLE, BUSY = 0, 1
"""Exit codes of a probe."""
PID = "MSS_WORKER_PID"
"""The variable of a probe or hook with the pid of the process that it is about."""


def look(busy: Busy, unit: Unit, program: Program) -> Activity:
    """Returns the activity of one process. Raises TemporaryError or PermanentError if it is unknown."""
    if busy.way is Way.FILE:
        return _file(busy, unit)
    if busy.way is Way.CPU:
        return _processor(busy, unit)
    code = _run(busy.call, unit, program)
    if code not in (IDLE, BUSY):
        raise TemporaryError(f"the {busy.call} has ended with code {code}, and not with 0 or 1")
    return Activity.BUSY if code == BUSY else Activity.IDLE


def call(call: Call, unit: Unit, program: Program) -> None:
    """Runs a hook. Raises PermanentError if it fails."""
    code = _run(call, unit, program)
    if code:
        raise PermanentError(f"the {call} has ended with code {code}")


def check_ready(warm: Warm, unit: Unit) -> None:
    """Returns if a process has written its file, or has stopped itself. Raises NotReady."""
    if warm.stops:
        if not has_proc():
            raise PermanentError("warmAfter: this system does not show that a process is stopped")
        if not unit.look_if_stopped():
            raise NotReady("its first process has not stopped itself")
        return
    path = _own(warm.after, unit)
    if not os.path.lexists(path):
        raise NotReady(f"there is no {path}")


def put_file(path: str, unit: Unit) -> None:
    """Writes the empty file that tells a process go."""
    path = _own(path, unit)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise PermanentError(f"{path}: {cause_of(error, error.strerror)}") from error


def memory(unit: Unit | None) -> int:
    """Returns the memory of the processes in the session of a unit, bytes; 0 if it is not known."""
    leader, total = unit.handle if unit is not None else None, 0
    for row in snapshot().values() if has_proc() else ():
        if leader is not None and leader.pid in (row.pid, row.session):
            with contextlib.suppress(OSError), open(f"{PROC}/{row.pid}/statm", "rb") as file:
                total += int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total


def _own(path: str, unit: Unit) -> str:
    if not unit.number:
        # It was started before there were numbers.
        raise PermanentError("a process of an earlier agent has no number, and so no files of its own")
    return file_of(path, unit.number)


def _file(busy: Busy, unit: Unit) -> Activity:
    path = _own(busy.path, unit)
    try:
        found = os.lstat(path)
        content = _content(path, found)
    except FileNotFoundError:
        return Activity.IDLE
    except OSError as error:
        raise TemporaryError(f"{path}: {cause_of(error, error.strerror)}") from error
    return activity_of(found.st_mtime, until_in(content), time.time(), None, busy.file_s)


def _content(path: str, found: os.stat_result) -> bytes:
    if stat.S_ISLNK(found.st_mode):
        return os.path.basename(os.readlink(path)).encode()
    if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= MAX_BYTES:
        return b""
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def _processor(busy: Busy, unit: Unit) -> Activity:
    # Like an engine, which waits a second between two measurements.
    begin, before = time.monotonic(), _ticks(unit)
    time.sleep(SAMPLE_S)
    share = (_ticks(unit) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begin)
    return Activity.BUSY if share > busy.share else Activity.IDLE


def _ticks(unit: Unit) -> int:
    """Returns the time of the processor that the processes in the session of a unit have used."""
    if not has_proc():
        raise PermanentError("busyCpu: this system does not show the use of the processor")
    leader = unit.handle
    total = 0
    for row in snapshot().values():
        if leader is not None and leader.pid in (row.pid, row.session):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += _used(row.pid)
    return total


def _used(pid: int) -> int:
    with open(f"{PROC}/{pid}/stat", "rb", buffering=0) as file:
        fields: Sequence[bytes] = file.read().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def _run(call: Call, unit: Unit, program: Program) -> int:
    """Runs a command with the environment of a process; returns its exit code."""
    pid = str(unit.handle.pid) if unit.handle else ""
    env, account = {**program.env, **unit.variables(), PID: pid}, program.account
    more: dict[str, Any] = {"process_group": 0} if sys.version_info >= (3, 11) else {}
    if account is not None:
        more |= {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
    try:
        # In the agent's session: in one of its own it would pass for a process that a worker has left.
        child = subprocess.Popen(  # nosec B603
            list(call.exec),
            env=env,
            cwd=program.directory or None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **more,
        )
    except OSError as error:
        raise PermanentError(f"cannot run the {call}: {cause_of(error, error.strerror)}") from error
    try:
        return child.wait(EXEC_S)
    except subprocess.TimeoutExpired:
        raise TemporaryError(f"the {call} takes longer than {EXEC_S:g} s") from None
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL) if more.get("process_group") == 0 else child.kill()
            child.wait()
