"""A handle of one process: signals never reach another process with the same pid."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Callable, Mapping

from microscaling.errors import PermanentError, TemporaryError
from microscaling.scheduler.process.program import Program
from microscaling.utils.process import start_time

log = logging.getLogger("mssscheduler")

PIDFD_SIGNAL_PROCESS_GROUP = 4
"""linux/pidfd.h, since Linux 6.9: sends the signal to the whole group of the process."""


class Handle:
    """One process, identified by pid and start time. Thread-safe.

    Signals go through a pidfd where the system has them (Linux); otherwise the start time is compared before
    each signal. `child` is True for a child of this process, to be reaped.
    """

    def __init__(self, pid: int, started: str, child: bool = False) -> None:
        self.pid = pid
        self.started = started
        self.child = child
        self.exit_code: int | None = None
        """As in a shell: 128 + the number of the signal that ended it. None if unknown."""
        self._gone = False
        self._lock = threading.Lock()
        self._pidfd = self._open_pidfd()

    @classmethod
    def spawn(cls, program: Program, more: Mapping[str, str], log_file: str) -> Handle:
        """Starts a program as its `start` does. Raises PermanentError if that fails, and TemporaryError, with
        nothing left, if its start time cannot be seen."""
        try:
            pid = program.start(more, log_file)
        except OSError as error:
            raise PermanentError(f"cannot run {program.argv[0]}: {error.strerror}") from None
        try:
            return cls(pid, start_time(pid) or "ended", child=True)
        except TemporaryError:
            # Without that time neither this agent nor the next one could tell it from another process.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise

    @classmethod
    def adopt(cls, pid: int, started: str) -> Handle | None:
        """Returns a handle of the process with that pid and start time; None if it does not run."""
        handle = cls(
            pid, started
        )  # the pidfd comes first: it stays with the process, even if the pid is reused
        if handle.is_alive():
            return handle
        handle.close()
        return None

    @classmethod
    def ended(cls, pid: int, started: str) -> Handle:
        """Returns a handle of an ended process, for the number of its group."""
        handle = cls(pid, started)
        handle._gone = True
        handle.close()
        return handle

    @property
    def pidfd(self) -> int | None:
        """Becomes readable at the end of the process; None without pidfds."""
        return self._pidfd

    def _open_pidfd(self) -> int | None:
        try:
            return os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, an old kernel, a sandbox, or ended
            return None

    def is_alive(self) -> bool:
        """True if this very process runs; a zombie does not."""
        return start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Sends a signal to this process alone; does nothing after its end."""
        with self._lock:
            if self._gone:
                return
            if not self._signal_by_pidfd(number, 0):
                self._signal_by_number(os.kill, number)

    def signal_group(self, number: int) -> None:
        """Sends a signal to the whole group that it leads; does nothing after its end."""
        with self._lock:
            if self._gone:
                return
            if not self._signal_by_pidfd(number, PIDFD_SIGNAL_PROCESS_GROUP):
                self._signal_by_number(os.killpg, number)

    def _signal_by_pidfd(self, number: int, flags: int) -> bool:
        """Returns False if signals through pidfds are not possible here."""
        if self._pidfd is None:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number, None, flags)
        except (ProcessLookupError, PermissionError):  # it has ended, or has changed its user
            return True
        except OSError:
            log.debug("this kernel sends no such signals through pidfds")
            return False
        return True

    def _signal_by_number(self, send: Callable[[int, int], None], number: int) -> None:
        # A child keeps its pid until it is reaped; any other one may have lost it to a new process.
        if self.child or self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self.pid, number)

    def has_ended(self) -> bool:
        """True if it has ended."""
        # Without reaping: until then its pid is not reused.
        with self._lock:
            return self._gone or self._ended_now()

    def _ended_now(self) -> bool:
        if self.child:
            with contextlib.suppress(ChildProcessError):  # another part of this process reaped it
                if not hasattr(os, "waitid"):
                    return self._wait()
                look = os.WEXITED | os.WNOHANG | os.WNOWAIT
                return os.waitid(os.P_PID, self.pid, look) is not None
        if self._pidfd is not None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            return bool(poll.poll(0))
        return not self.is_alive()

    def reap(self) -> None:
        """Takes the exit code of a child, and releases the handle. Call it after the end."""
        with self._lock:
            if not self._gone:
                self._wait()
                self._gone = True
                self._close_pidfd()

    def _wait(self) -> bool:
        with contextlib.suppress(ChildProcessError):  # not our child, or reaped already
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                self.exit_code = 128 - code if code < 0 else code
                return True
        return False

    def _close_pidfd(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def close(self) -> None:
        """Releases the handle without a signal."""
        with self._lock:
            self._close_pidfd()
