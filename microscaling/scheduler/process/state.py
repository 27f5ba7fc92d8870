"""What an agent leaves for the next one: which processes are its own."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from microscaling.errors import UNEXPECTED, ConfigError

log = logging.getLogger("mssscheduler")

BOOT_ID = "/proc/sys/kernel/random/boot_id"
LOCK_WAIT_S = 1.0
ID = re.compile(r"[\w-]{1,64}")
"""It becomes a part of a file's name."""


class FolderGone(OSError):
    """The state folder was removed while in use, and cannot be made anew."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A process in the state file. Without a pid it was about to be started."""

    id: str
    task: str
    nonce: str
    created: float
    pid: int | None = None
    started: str = ""
    asked: tuple[tuple[int, str], ...] = ()
    """Pid and start time of those of its processes that have had their SIGTERM."""

    @classmethod
    def of(cls, data: Mapping[str, Any], asked: Mapping[str, Any]) -> Entry:
        """Raises LookupError, TypeError or ValueError. What a later version adds is left out."""
        id, task, nonce, started = data["id"], data["task"], data["nonce"], data.get("started", "")
        pid = data.get("pid")
        if not all(isinstance(text, str) for text in (id, task, nonce, started)):
            raise TypeError("an id, task, nonce or start time is no text")
        if not ID.fullmatch(id) or (pid is not None and (type(pid) is not int or pid < 2)):
            raise ValueError(f"no process of an agent's: id {id!r:.40}, pid {pid!r:.40}")
        told = tuple((int(number), str(since)) for number, since in asked.get(id, ()))
        return cls(id, task, nonce, float(data["created"]), pid, started, told)

    def data(self) -> dict[str, Any]:
        """Without `asked`, which stands apart, so that versions that do not know it can read the file."""
        return {name: value for name, value in asdict(self).items() if name != "asked"}


class StateFolder:
    """A folder with a lock, a state file, and the processes' output; one agent at a time has it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock_fd: int | None = None
        self._counting = threading.Lock()
        self._writing = threading.Lock()
        self._asked = 0
        self._written = 0

    def open(self) -> None:
        """Makes the folder if need be, and takes its lock; raises ConfigError: no task can be run
        before a person has mended that."""
        try:
            self._lock_fd = self._lock(LOCK_WAIT_S)
        except OSError as error:
            raise ConfigError(f"MSS_STATE_DIR: cannot use {self.path}: {error.strerror}") from None

    def _lock(self, patience_s: float) -> int:
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        self._check_owner()
        fd = os.open(self._file("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(fd, patience_s)
            os.makedirs(self._file("logs"), mode=0o700, exist_ok=True)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def mend(self) -> bool:
        """Makes the folder anew if it was removed, as logind does with a user's at the end of the last
        session, and some jobs with old temporary files. Returns whether the state has to be saved.

        Raises FolderGone if that cannot be done.
        """
        with self._writing:
            state_is_there = os.path.exists(self._file("state.json")) or not self._written
            if self._lock_fd is None or (self._has_lock() and self.takes_output and state_is_there):
                return False
            self._make_anew()
            return True

    def _has_lock(self) -> bool:
        """Whether the lock that is held is that of this folder."""
        if self._lock_fd is None:
            return False
        try:
            return os.path.samestat(os.stat(self._file("lock")), os.fstat(self._lock_fd))
        except OSError:
            return False

    def _make_anew(self) -> None:
        """What is missing of it. Without the lock nothing may be written: the folder may be another's now."""
        try:
            if not self._has_lock():
                fd = self._lock(0.0)
                if self._lock_fd is not None:
                    os.close(self._lock_fd)
                self._lock_fd = fd
            os.makedirs(self._file("logs"), mode=0o700, exist_ok=True)
        except (OSError, ConfigError) as error:
            raise FolderGone(f"{self.path} was removed, and cannot be made anew: {error}") from None

    def _check_owner(self) -> None:
        # In a folder that all may write to, someone else could have been first.
        found = os.lstat(self.path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ConfigError(f"MSS_STATE_DIR: {self.path} is not a folder of this user; name another")
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(self.path, 0o700)

    def _take(self, fd: int, patience_s: float) -> None:
        # A process that is being started holds the lock too, until its program runs: an agent that
        # was killed just then has let go a moment later, and by then its last process can be found.
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ConfigError(self._taken(fd)) from None
                time.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d" % os.getpid(), 0)

    def _taken(self, fd: int) -> str:
        pid = os.pread(fd, 20, 0).decode(errors="replace") or "unknown"
        return (
            f"another agent (process {pid}) already runs local processes from {self.path}; "
            "stop it, or give this one a folder of its own with MSS_STATE_DIR"
        )

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def log_file(self, id: str) -> str:
        """Where the output of a process goes."""
        return self._file(os.path.join("logs", f"{id}.log"))

    @property
    def takes_output(self) -> bool:
        """Whether a log file can be made."""
        return os.path.isdir(self._file("logs"))

    def load(self) -> list[Entry]:
        """What the last agent left, without what a restart of the machine has ended."""
        try:
            with open(self._file("state.json"), "rb") as file:
                data = file.read()
            if not data or b"\0" in data:
                # `save` does not wait for the disk. Only a crash of the machine leaves that, and no process.
                log.warning("%s was lost in a crash of the machine: no process is adopted", file.name)
                return []
            state = json.loads(data)
            entries = self._entries(state["processes"], state.get("asked", {}))
        except FileNotFoundError:
            return []
        except (OSError, *UNEXPECTED) as error:
            raise ConfigError(
                f"{self._file('state.json')} cannot be read ({error}); end the processes of the last agent "
                "and remove that file"
            ) from None
        return entries if state.get("boot") == boot_id() else []

    def _entries(self, listed: Sequence[Any], asked: Mapping[str, Any]) -> list[Entry]:
        """One that cannot be read is named, and skipped: the others' processes are adopted all the same.
        Raises what `Entry.of` does if none can be read."""
        entries: list[Entry] = []
        bad: list[tuple[Any, Exception]] = []
        for data in listed:
            try:
                entries.append(Entry.of(data, asked))
            except UNEXPECTED as error:
                bad.append((data, error))
        if bad and not entries:
            raise bad[0][1]
        for data, why in bad:
            pid = data.get("pid") if isinstance(data, dict) else None
            log.error(
                "%s: an entry cannot be read (%.80s), so it is skipped; its process may still run%s",
                self._file("state.json"), why, f": {pid!r:.20}" if pid is not None else "",
            )  # fmt: skip
        return entries

    def save(self, entries: Callable[[], list[Entry]]) -> None:
        """Replaces the state file. Returns when any other process would read what was true at the call; of
        many calls at once one writes for all. Raises OSError."""
        with self._counting:
            self._asked = asked = self._asked + 1
        with self._writing:
            if self._written >= asked:
                return
            covered = self._asked
            now = entries()
            state = {
                "version": 1,
                "boot": boot_id(),
                "processes": [entry.data() for entry in now],
                "asked": {entry.id: entry.asked for entry in now if entry.asked},
            }
            self._make_anew()
            self._write(state)
            self._written = covered

    def _write(self, state: Mapping[str, Any]) -> None:
        new = self._file("state.json.new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            # No fsync: the file has to outlive the agent, not the machine, whose processes end with it,
            # and a busy disk would hold up every start by seconds.
            json.dump(state, file, indent=1)
        os.replace(new, self._file("state.json"))

    def close(self) -> None:
        """Lets the next agent have it."""
        if self._lock_fd is not None:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
            os.close(self._lock_fd)
            self._lock_fd = None


def boot_id() -> str:
    """Differs from one start of the machine to the next; empty where the system has no such thing."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
