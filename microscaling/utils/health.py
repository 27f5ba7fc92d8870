"""The health file: what an agent writes down about itself, for `microscaling --health` to read."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from microscaling.utils.process import start_time
from microscaling.utils.text import one_line

log = logging.getLogger("mssagent")

STALLED_S = 30.0
"""A loop that has not come round for this long stands still: the longest call that one makes, to an
engine that hangs, takes less."""
ANSWER_S = 4.0
EVERYWHERE = "0.0.0.0"  # nosec B104  # here it is only compared with
ANYWHERE = {EVERYWHERE: "127.0.0.1", "[::]": "::1", "": "127.0.0.1"}
"""Who listens at all addresses can be asked at this one."""
MOST_BYTES = 65536
SHARED_MEMORY = "/dev/shm"  # nosec B108  # what is not this user's own there is not used
"""In memory, and to be written to also in a container whose root is read-only."""
TEMPORARY = "/tmp"  # nosec B108  # the same


@dataclass(frozen=True)
class Report:
    """How an agent is at one moment. Times are time.monotonic() seconds, which processes share."""

    pid: int
    started: str
    """When the process did, as the system tells it."""
    state: str
    says: str
    """The state in a few words, for people."""
    written: float
    loops: dict[str, float] = field(default_factory=dict)
    """When each loop last came round, or is to end its rest."""

    def trouble(self, now: float) -> str:
        """What is wrong with the agent; empty: nothing."""
        if start_time(self.pid) != self.started:
            return f"process {self.pid} has ended, and was: {self.says}"
        silent = now - self.written
        if not -STALLED_S < silent < STALLED_S:
            return f"process {self.pid} has not been heard of for {abs(silent):.0f} s, and was: {self.says}"
        late = stalled(self.loops, now)
        return f"{', '.join(late)} stands still; {self.says}" if late else ""


def stalled(loops: Mapping[str, float], now: float) -> list[str]:
    """The loops that have not come round for so long that they will not, in words."""
    return [f"{name} (for {now - due:.0f} s)" for name, due in loops.items() if now - due >= STALLED_S]


class HealthFile:
    """One agent's file. What cannot be written is said once, and harms nothing."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._told = False

    def write(self, report: Report) -> None:
        """Replaces the file; who reads it sees the old one or the new one."""
        new = f"{self.path}.{report.pid}"  # another agent of this user may write there too
        # Not synced: it is of no use after a crash of the machine.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            with open(os.open(new, flags, 0o644), "w", encoding="ascii") as file:
                json.dump(asdict(report), file)
            os.replace(new, self.path)
        except OSError as error:
            if not self._told:
                log.warning(
                    "MSS_HEALTH_FILE: cannot write %s (%s): `microscaling --health` will not see this agent",
                    self.path,
                    error.strerror,
                )
            self._told = True

    def remove(self) -> None:
        """At the end; a file that stays says that the process has ended, unasked."""
        try:
            os.unlink(self.path)
        except OSError:
            pass


def default_file(environ: Mapping[str, str]) -> str:
    """Where an agent of this user writes: the first place that is there for it."""
    for folder in _folders(environ):
        try:
            os.mkdir(folder, mode=0o700)
        except OSError:  # it is there already, or cannot be
            pass
        if os.access(folder, os.W_OK) and not _is_foreign(folder):
            return _file_in(folder)
    return found_file(environ)


def found_file(environ: Mapping[str, str]) -> str:
    """The newest that an agent of this user wrote, whatever environment it had; else where one would be."""
    folders = [folder for folder in _folders(environ) if not _is_foreign(folder)]
    there = filter(os.path.isfile, map(_file_in, folders))
    return max(there, key=os.path.getmtime, default=_file_in(folders[0] if folders else os.devnull))


def _folders(environ: Mapping[str, str]) -> list[str]:
    parents = [environ.get("XDG_RUNTIME_DIR"), SHARED_MEMORY, environ.get("TMPDIR"), TEMPORARY]
    return [os.path.join(parent, f"microscaling-{os.geteuid()}") for parent in parents if parent]


def _file_in(folder: str) -> str:
    return os.path.join(folder, "health.json")


def _is_foreign(folder: str) -> bool:
    """Where all may write, somebody else could have been first."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid()


def check(path: str, now: float) -> tuple[bool, str]:
    """Whether the agent that writes this file is well, and one line about it."""
    try:
        with open(path, "rb") as file:
            report = Report(**json.loads(file.read(MOST_BYTES)))
        trouble, says = report.trouble(now), report.says
    except FileNotFoundError:
        return False, f"no agent runs: there is no {path}"
    except OSError as error:
        return False, f"{path} cannot be read: {error.strerror}"
    except (ValueError, TypeError, AttributeError):
        return False, f"{path} is no health file of an agent"
    return not trouble, one_line(trouble or says)


def check_server(address: str) -> tuple[bool, str]:
    """Whether a server that listens at this host:port is ready, and one line about it."""
    from http.client import HTTPConnection, HTTPException  # the agent's check does without

    host, _, port = address.strip().rpartition(":")
    host = ANYWHERE.get(host, host.removeprefix("[").removesuffix("]"))
    try:
        connection = HTTPConnection(host, int(port), timeout=ANSWER_S)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            said = answer.read(100).decode("utf-8", "replace").strip()
        finally:
            connection.close()
    except OSError as error:
        return False, f"no answer from the server at {one_line(address)}: {error.strerror or error}"
    except (HTTPException, ValueError) as error:
        return False, f"what is at {one_line(address)} is no server of this kind: {error!r}"
    return answer.status == 200, f"the server at {one_line(address)} says: {one_line(said)}"
