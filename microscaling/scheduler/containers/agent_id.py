"""The identity of the agent that made a container: an id that one agent at a time owns, and keeps over its
lives.

An id is a file in the state folder, locked by its owner. So the owner knows that any container with this id
that it did not create comes from an earlier life of its own, which is over. For an id without a file here (an
agent on another machine, of another user, in a container with a file system of its own) it cannot be
determined whether its agent lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from microscaling.scheduler.containers.state_folder import make_own
from microscaling.settings import Settings

log = logging.getLogger("mssscheduler")

SCAN_WAIT_S = 1.0
MAX_KEPT = 100
"""Maximum number of files of ended agents; the oldest are removed."""
NAME = re.compile(r"([0-9a-f]{12})\.json")


class Agent(Enum):
    """The known state of an id's agent."""

    ME = "me"
    LIVES = "lives"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Record:
    """The content of an id's file: the agent's engine, and the origin and names of its tasks."""

    engine: str
    source: str
    tasks: frozenset[str]


def source_of(settings: Settings) -> str:
    """Returns a name for the origin of the tasks. It is the same in all lives of one agent, even if the tasks
    are renamed."""
    if settings.config == "FILE":
        return f"FILE {os.path.abspath(settings.config_file)}"
    if settings.config in ("SERVER", "LABEL"):
        # Only a hash of it is kept: an address may contain a password.
        whose = f"{settings.api_address} {settings.user_id}"
        return f"{settings.config} {hashlib.sha256(whose.encode()).hexdigest()[:16]}"
    return settings.config


class AgentId:
    """The id of this agent.

    An agent takes over the id of an ended one with the same `engine`, and with the same `source` of its tasks
    or a task of the same name; among several, the most similar one's. Otherwise it gets a new id. If the
    folder cannot be used the id is a new one each time, and `problem` has the reason.
    """

    def __init__(self, folder: str, engine: str, source: str) -> None:
        self.folder = os.path.join(folder, "agents")
        self._parent = folder
        self.engine = engine
        self.source = source
        self.id = ""
        self.problem = ""
        self._fd: int | None = None

    def take(self, tasks: Iterable[str]) -> str:
        """Takes an id for an agent of these tasks. Waits for other agents at most 1 s; never raises."""
        mine = Record(self.engine, self.source, frozenset(tasks))
        if self._fd is not None:  # its tasks are others now, and its id stays
            with contextlib.suppress(OSError):  # a full disk: the next agent knows the earlier names
                self._write(mine)
            return self.id
        try:
            for folder in (self._parent, self.folder):
                make_own(folder)
            with self._scanning():
                self._choose(mine)
                self._write(mine)
        except OSError as error:
            self.close()
            self.problem = f"{self.folder} cannot be used: {error.strerror or error}"
        self.id = self.id or os.urandom(6).hex()
        return self.id

    def look(self, ids: Iterable[str]) -> tuple[dict[str, Agent], frozenset[str] | None]:
        """Returns the states of the agents with these ids, and the names of the tasks of other live agents on
        the same engine; None for the names if they cannot be determined now."""
        known = {id: Agent.ME if id == self.id else Agent.UNKNOWN for id in ids}
        theirs: set[str] = set()
        if self._fd is None:
            return known, frozenset()
        try:
            with self._scanning():
                for id in self._ids():
                    if id == self.id:
                        continue
                    lives, record = self._peek(id)
                    if id in known:
                        known[id] = Agent.LIVES if lives else Agent.ENDED
                    if lives and record is not None and record.engine == self.engine:
                        theirs |= record.tasks
        except OSError as error:
            log.debug("cannot look for other agents: %s", error)
            return known, None
        return known, frozenset(theirs)

    def close(self) -> None:
        """Releases the id for the next agent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextlib.contextmanager
    def _scanning(self) -> Iterator[None]:
        """Takes the lock of the folder. Raises OSError after 1 s."""
        # Checking an id's lock means locking it for a moment, so one agent at a time may do it.
        fd = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + SCAN_WAIT_S
            while not _lock(fd):
                if time.monotonic() > deadline:
                    raise OSError("another agent holds its lock")
                time.sleep(0.01)
            yield
        finally:
            os.close(fd)

    def _ids(self) -> list[str]:
        """Returns the ids with a file, the newest first."""
        found = []
        for entry in os.scandir(self.folder):
            name = NAME.fullmatch(entry.name)
            if name:
                with contextlib.suppress(FileNotFoundError):
                    found.append((entry.stat().st_mtime, name[1]))
        return [id for _, id in sorted(found, reverse=True)]

    def _path(self, id: str) -> str:
        return os.path.join(self.folder, f"{id}.json")

    def _peek(self, id: str) -> tuple[bool, Record | None]:
        """Returns whether the agent of this id lives, and its record."""
        fd = os.open(self._path(id), os.O_RDWR)
        try:
            return not _lock(fd), _read(fd)
        finally:
            os.close(fd)

    def _choose(self, mine: Record) -> None:
        """Takes over the id of an earlier life, or makes a new one."""
        best: tuple[bool, int] = (False, 0)
        # The newest come first: so they win among equals, and the oldest files go.
        chosen, kept = "", 0
        for id in self._ids():
            lives, record = self._peek(id)
            if lives:
                continue
            kept += 1
            if record is not None and record.engine == mine.engine:
                likeness = (record.source == mine.source, len(record.tasks & mine.tasks))
                if likeness > best:
                    chosen, best = id, likeness
                    continue
            if kept > MAX_KEPT:
                os.unlink(self._path(id))
        self.id = chosen or os.urandom(6).hex()
        self._fd = os.open(self._path(self.id), os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(self._fd):
            raise OSError(f"{self._path(self.id)} is locked")

    def _write(self, mine: Record) -> None:
        assert self._fd is not None
        record = {"engine": mine.engine, "source": mine.source, "tasks": sorted(mine.tasks)}
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(record).encode(), 0)


def _lock(fd: int) -> bool:
    """Locks the file until it is closed; returns False if another process has the lock."""
    # flock, because the kernel releases it with the process, however that ends.
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(fd: int) -> Record | None:
    """Returns the record in a file; None if it is invalid, as after a kill during the write."""
    try:
        told: Any = json.loads(os.pread(fd, 2**24, 0))
        return Record(str(told["engine"]), str(told["source"]), frozenset(map(str, told["tasks"])))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
