"""A process of this machine that can be told from any other, and signalled without hitting another."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Callable, Mapping

from microscaling.utils.process import start_time

log = logging.getLogger("mssscheduler")

PIDFD_SIGNAL_PROCESS_GROUP = 4
"""linux/pidfd.h, since Linux 6.9: the signal goes to the whole group that the process leads."""


class Handle:
    """One process, by its pid and start time. Thread-safe.

    Where the system has pidfds (Linux), one is held, and signals go through it; else a signal is
    only sent after the start time was compared. `child` says that it is ours to reap.
    """

    def __init__(self, pid: int, started: str, child: bool = False) -> None:
        self.pid = pid
        self.started = started
        self.child = child
        self.exit_code: int | None = None
        """As a shell shows it: 128 + the signal that ended it. None: not known."""
        self._gone = False
        self._lock = threading.Lock()
        self._pidfd = self._open_pidfd()

    @classmethod
    def spawn(cls, argv: list[str], env: Mapping[str, str], log_file: str) -> Handle:
        """Starts a program (argv[0]: its path) in a session of its own; raises OSError.

        It reads nothing, and appends all that it writes to the log file.
        """
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            argv[0],
            argv,
            env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log_file, append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # the two that Python ignores
        )
        return cls(pid, start_time(pid) or "ended", child=True)

    @classmethod
    def adopt(cls, pid: int, started: str) -> Handle | None:
        """The process of that number and start time, if it still runs."""
        handle = cls(pid, started)  # the pidfd first: from then on the number cannot change its meaning
        if handle.is_alive():
            return handle
        handle.close()
        return None

    @classmethod
    def ended(cls, pid: int, started: str) -> Handle:
        """A process that ran once, for the number that its group has."""
        handle = cls(pid, started)
        handle._gone = True
        handle.close()
        return handle

    @property
    def pidfd(self) -> int | None:
        """Becomes readable when the process ends; None where the system has no such thing."""
        return self._pidfd

    def _open_pidfd(self) -> int | None:
        try:
            return os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, an old kernel, a sandbox, or ended
            return None

    def is_alive(self) -> bool:
        """Whether this very process runs; a zombie does not."""
        return start_time(self.pid) == self.started

    def signal(self, number: int) -> None:
        """To this process alone; nothing happens if it has ended."""
        with self._lock:
            if self._gone:
                return
            if not self._signal_by_pidfd(number, 0):
                self._signal_by_number(os.kill, number)

    def kill_group(self) -> None:
        """Kills the whole group that it leads, if it has not ended."""
        with self._lock:
            if self._gone:
                return
            if not self._signal_by_pidfd(signal.SIGKILL, PIDFD_SIGNAL_PROCESS_GROUP):
                self._signal_by_number(os.killpg, signal.SIGKILL)

    def _signal_by_pidfd(self, number: int, flags: int) -> bool:
        """Whether that is possible here."""
        if self._pidfd is None:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number, None, flags)
        except (ProcessLookupError, PermissionError):  # it has ended, or has become another user's
            return True
        except OSError:
            log.debug("this kernel sends no such signals through pidfds")
            return False
        return True

    def _signal_by_number(self, send: Callable[[int, int], None], number: int) -> None:
        # A child that is not reaped yet keeps its number; of any other, see that it is still the one.
        if self.child or self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self.pid, number)

    def has_ended(self) -> bool:
        """Whether it has, without reaping it: until then its number is not another's."""
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
        """Takes its exit code, if it is a child, and lets go of it. Call when it has ended."""
        with self._lock:
            if not self._gone:
                self._wait()
                self._gone = True
                self._close_pidfd()

    def _wait(self) -> bool:
        with contextlib.suppress(ChildProcessError):  # its parent is another; or it is reaped already
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
        """Lets go of it without touching it."""
        with self._lock:
            self._close_pidfd()
