"""The lease of agents that share a state folder: a lock on a file there, which the kernel releases as soon as
the process that has it ends, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket

from microscaling.errors import ConfigError
from microscaling.scheduler.containers.state_folder import make_own
from microscaling.utils.text import one_line

MAX_SHOWN = 100


class LeaseLock:
    """One lease, for agents on one machine.

    A frozen process keeps its lock, so nobody takes over from it: nothing could keep it from sending what it
    was about to send once it goes on.
    """

    def __init__(self, folder: str, lease: str) -> None:
        self.folder = folder
        self.path = os.path.join(folder, f"lease-{lease}.lock")
        self.other = ""
        """The agent that has it, if it is another one."""
        self._fd: int | None = None

    def take(self) -> bool:
        """Takes it, and returns True, unless another process has it. Raises ConfigError if the folder cannot
        be used."""
        try:
            make_own(self.folder)
            while self._fd is None:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if not self._lock(fd):
                    return False
                # The file may have been removed in between: then the next agent would lock another one.
                if self._is_there(fd):
                    self._fd = fd
                else:
                    os.close(fd)
        except OSError as error:
            raise ConfigError(f"MSS_STATE_DIR: cannot use {self.folder}: {error.strerror or error}") from None
        return True

    def examine(self) -> str:
        """Returns the agent that has it, "" if none has; changes nothing. Raises ConfigError if the folder
        cannot be used."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise ConfigError(f"MSS_STATE_DIR: cannot use {self.path}: {error.strerror or error}") from None
        try:
            # Shared, so that checks are not in each other's way; it is gone with the file.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return ""
        except BlockingIOError:
            return _holder(fd)
        finally:
            os.close(fd)

    def keep(self) -> bool:
        """Makes the file again if it was removed. Returns False if another agent has the lease by now."""
        # Some systems remove the folders of a user who logs out, and old temporary files.
        if self._fd is None or self._is_there(self._fd):
            return True
        before, self._fd = self._fd, None
        try:
            taken = self.take()
        except ConfigError:  # as long as there is no folder, no other agent can use it either
            self._fd = before
            return True
        os.close(before)
        return taken

    def close(self) -> None:
        """Releases it for the next agent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _lock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.other = _holder(fd)
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        return True

    def _is_there(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(fd))
        except OSError:
            return False


def _holder(fd: int) -> str:
    return one_line(os.pread(fd, MAX_SHOWN, 0).decode(errors="replace"))
