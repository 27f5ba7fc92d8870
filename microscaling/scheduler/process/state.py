"""The state folder: the record of an agent's processes, for the next agent."""

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

from microscaling.errors import UNEXPECTED, ConfigError, InUseError

log = logging.getLogger("mssscheduler")

BOOT_ID = "/proc/sys/kernel/random/boot_id"
LOCK_WAIT_S = 1.0
ID = re.compile(r"[\w-]{1,64}")
"""An id becomes a part of a file's name."""


class FolderGone(OSError):
    """The state folder was removed while in use, and cannot be created again."""


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
    """Pid and start time of its processes that got their SIGTERM."""
    number: int = 0
    """Its number among those of its task; 0 if it has none, as from an agent that gave none."""
    version: str = ""
    """That of its task when it was made; empty from an agent that gave none."""

    @classmethod
    def of(cls, data: Mapping[str, Any], asked: Mapping[str, Any]) -> Entry:
        """Parses an entry. Raises LookupError, TypeError or ValueError. Keys of later versions are
        ignored."""
        id, task, nonce, started = data["id"], data["task"], data["nonce"], data.get("started", "")
        pid = data.get("pid")
        if not all(isinstance(text, str) for text in (id, task, nonce, started)):
            raise TypeError("an id, task, nonce or start time is no text")
        if not ID.fullmatch(id) or (pid is not None and (type(pid) is not int or pid < 2)):
            raise ValueError(f"no process of an agent's: id {id!r:.40}, pid {pid!r:.40}")
        number = data.get("number", 0)
        if type(number) is not int or number < 0:
            raise ValueError(f"the number of a process is {number!r:.40}")
        told = tuple((int(number), str(since)) for number, since in asked.get(id, ()))
        return cls(
            id, task, nonce, float(data["created"]), pid, started, told, number, _text(data.get("version"))
        )

    def data(self) -> dict[str, Any]:
        """Returns the entry for the file."""
        # `asked` is stored apart, so that older versions can read the file.
        return {name: value for name, value in asdict(self).items() if name != "asked"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class StateFolder:
    """A folder with a lock, a state file, and the processes' output; one agent at a time owns it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock_fd: int | None = None
        self._counting = threading.Lock()
        self._writing = threading.Lock()
        self._asked = 0
        self._written = 0

    def open(self) -> None:
        """Creates the folder if necessary, and takes its lock. Raises ConfigError if the folder cannot be
        used, InUseError while another agent uses it."""
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
        """Creates the folder again if it was removed while in use. Returns True if the state has to be saved.
        Raises FolderGone if that fails."""
        # logind removes a user's folder at the end of the last session, and some jobs old temporary files.
        with self._writing:
            state_is_there = os.path.exists(self._file("state.json")) or not self._written
            if self._lock_fd is None or (self._has_lock() and self.takes_output and state_is_there):
                return False
            self._make_anew()
            return True

    def _has_lock(self) -> bool:
        """True if the lock we hold is the one in this folder."""
        if self._lock_fd is None:
            return False
        try:
            return os.path.samestat(os.stat(self._file("lock")), os.fstat(self._lock_fd))
        except OSError:
            return False

    def _make_anew(self) -> None:
        """Creates the missing parts of the folder. Raises FolderGone."""
        # Without the lock nothing may be written: the folder may be another agent's now.
        try:
            if not self._has_lock():
                fd = self._lock(0.0)
                if self._lock_fd is not None:
                    os.close(self._lock_fd)
                self._lock_fd = fd
            os.makedirs(self._file("logs"), mode=0o700, exist_ok=True)
        except (OSError, ConfigError) as error:
            raise FolderGone(f"{self.path} was removed, and cannot be created again: {error}") from None

    def _check_owner(self) -> None:
        # In a parent folder that is writable for all, another user may have created it first.
        found = os.lstat(self.path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ConfigError(f"MSS_STATE_DIR: {self.path} is not a folder of this user; name another")
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(self.path, 0o700)

    def _take(self, fd: int, patience_s: float) -> None:
        # A process that is being started shares the lock until its program runs. So the lock of an agent that
        # was killed in that moment is free a little later, and by then its last process can be found.
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InUseError(self._taken(fd)) from None
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
        """Returns the path of a process's output."""
        return self._file(os.path.join("logs", f"{id}.log"))

    @property
    def takes_output(self) -> bool:
        """True if a log file can be created."""
        return os.path.isdir(self._file("logs"))

    def load(self) -> list[Entry]:
        """Returns the processes of the last agent, without those that a restart of the machine has ended.
        Raises ConfigError."""
        try:
            with open(self._file("state.json"), "rb") as file:
                data = file.read()
            if not data or b"\0" in data:
                # `save` does not wait for the disk, so a crash of the machine leaves this, and no process.
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
        """Parses the entries; an invalid one is logged and skipped. Raises the error of `Entry.of` if all are
        invalid."""
        entries: list[Entry] = []
        bad: list[tuple[Any, Exception]] = []
        for data in listed:
            try:
                entries.append(Entry.of(data, asked))
            except UNEXPECTED as error:
                bad.append((data, error))
        if bad and not entries:  # with a valid one, its process is adopted all the same
            raise bad[0][1]
        for data, why in bad:
            pid = data.get("pid") if isinstance(data, dict) else None
            log.error(
                "%s: an entry cannot be read (%.80s), so it is skipped; its process may still run%s",
                self._file("state.json"), why, f": {pid!r:.20}" if pid is not None else "",
            )  # fmt: skip
        return entries

    def save(self, entries: Callable[[], list[Entry]]) -> None:
        """Replaces the state file. Returns when other processes would read the state of the time of the call.
        Raises OSError."""
        with self._counting:
            self._asked = asked = self._asked + 1
        # Of many calls at once, one writes for all.
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
            # No fsync: the file has to outlive the agent, not the machine, as the processes end with that. On
            # a busy disk it would delay every start by seconds.
            json.dump(state, file, indent=1)
        os.replace(new, self._file("state.json"))

    def close(self) -> None:
        """Releases the folder for the next agent."""
        if self._lock_fd is not None:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
            os.close(self._lock_fd)
            self._lock_fd = None


def boot_id() -> str:
    """Returns an id of this start of the machine; empty if the system has none."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
