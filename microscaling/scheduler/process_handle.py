"""A process of this machine that can be told from any other, and signalled without hitting another."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Mapping

from microscaling.utils.process import PROC, start_time

log = logging.getLogger("mssscheduler")

PIDFD_SIGNAL_PROCESS_GROUP = 4
"""linux/pidfd.h, since Linux 6.9: the signal goes to the whole group that the process leads."""


def with_environment(name: str, value: str) -> list[int]:
    """The processes in whose environment the variable has this value, oldest first; none to be found
    where there is no /proc."""
    wanted = f"{name}={value}".encode()
    found = []
    for pid in [int(entry) for entry in os.listdir(PROC) if entry.isdigit()] if os.path.isdir(PROC) else []:
        with contextlib.suppress(OSError), open(f"{PROC}/{pid}/environ", "rb") as environ:
            if wanted in environ.read().split(b"\0"):
                found.append((int(start_time(pid) or 0), pid))
    return [pid for _, pid in sorted(found)]


def leader_with_environment(name: str, value: str) -> int | None:
    """The one that leads its group; what it has started inherits its environment, so the oldest."""
    for pid in with_environment(name, value):
        with contextlib.suppress(OSError):
            if os.getpgid(pid) == pid:
                return pid
    return None


def kill_rest(pid: int, name: str, value: str) -> None:
    """Kills what has outlived a leader that ended unseen: its group, told by the environment.

    The number of the group alone could be another's by now.
    """
    for member in with_environment(name, value):
        handle = Handle(member, start_time(member) or "ended")
        with contextlib.suppress(OSError):
            if os.getpgid(member) == pid:
                handle.kill_alone()
        handle.close()


class Handle:
    """A process group, by its leader: pid and start time. Thread-safe.

    Where the system has pidfds (Linux), one is held, and is what signals go through; else a signal is
    only sent after the start time was compared. `child` says that it is ours to reap.
    """

    def __init__(self, pid: int, started: str, child: bool = False) -> None:
        self.pid = pid
        self.started = started
        self.child = child
        self.exit_code: int | None = None
        """As a shell tells it: 128 + the signal that ended it. None: not known."""
        self.ended = threading.Event()
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
        handle = cls(pid, started)  # first hold on to it, then look who it is
        if handle.is_alive():
            return handle
        handle.close()
        return None

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
        """To the whole group; nothing happens if the leader has ended."""
        with self._lock:
            if not self.ended.is_set():
                self._signal_group(number)

    def _signal_group(self, number: int) -> None:
        if self._pidfd is not None:
            try:
                signal.pidfd_send_signal(self._pidfd, number, None, PIDFD_SIGNAL_PROCESS_GROUP)
                return
            except ProcessLookupError:
                return
            except OSError:
                log.debug("no signals to groups through pidfds here")
        # A child that is not reaped yet keeps its number; of any other, see that it is still the one.
        if self.child or self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def kill_alone(self) -> None:
        """Kills this process, not its group."""
        with self._lock:
            if not self.is_alive():
                return
            with contextlib.suppress(ProcessLookupError):
                if self._pidfd is None:
                    os.kill(self.pid, signal.SIGKILL)
                else:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def settle(self) -> bool:
        """Whether the leader has ended; if so, what is left of its group is killed, and it is reaped."""
        with self._lock:
            if self.ended.is_set() or not self._has_ended():
                return self.ended.is_set()
            self._signal_group(signal.SIGKILL)
            self._reap()
            self._close_pidfd()
            self.ended.set()
            return True

    def _has_ended(self) -> bool:
        if self.child:
            with contextlib.suppress(ChildProcessError):  # someone else reaped it
                if not hasattr(os, "waitid"):
                    return self._reap()
                look = os.WEXITED | os.WNOHANG | os.WNOWAIT
                return os.waitid(os.P_PID, self.pid, look) is not None
        if self._pidfd is not None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            return bool(poll.poll(0))
        return not self.is_alive()

    def _reap(self) -> bool:
        with contextlib.suppress(ChildProcessError):  # adopted, its parent reaps it; or done already
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
