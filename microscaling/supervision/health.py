"""The health file: an agent's report about itself, read by `microscaling --health`."""

from __future__ import annotations

import glob
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields

from microscaling.utils.process import may_live
from microscaling.utils.text import one_line

log = logging.getLogger("mssagent")

STALLED_S = 30.0
"""A loop that has not come round for so many seconds counts as stalled."""
# The longest call of a loop, to an engine that hangs, takes less.
ANSWER_S = 4.0
EVERYWHERE = "0.0.0.0"  # nosec B104  # here it is only compared with
ANYWHERE = {EVERYWHERE: "127.0.0.1", "[::]": "::1", "": "127.0.0.1"}
"""The address at which to reach a server that listens at all addresses."""
MAX_BYTES = 1 << 20
PID_NAMESPACE = "/proc/self/ns/pid"
UNREADABLE = (ValueError, TypeError, AttributeError)
"""Errors of reading a file that is no health file."""
# In memory, and writable also in a container with a read-only root.
SHARED_MEMORY = "/dev/shm"  # nosec B108  # only a folder of this user's own is used there
TEMPORARY = "/tmp"  # nosec B108  # the same


@dataclass(frozen=True)
class Report:
    """The state of an agent at one moment. Times are seconds of time.monotonic(), which processes share."""

    pid: int
    started: str
    """Start of the process, as by `start_time`; empty if it could not be seen."""
    state: str
    says: str
    """The state in a few words, for people."""
    written: float
    loops: dict[str, float] = field(default_factory=dict)
    """For each loop, the begin of its present cycle or the planned end of its rest."""
    tasks: Sequence[tuple[str, float | None]] = ()
    """A line for each task, and the time of its reading."""

    def lives(self) -> bool:
        """Whether the process still runs, healthy or not; True also if that cannot be seen."""
        return may_live(self.pid, self.started)

    def problem(self, now: float) -> str:
        """Describes the agent's problem; "" if it is healthy."""
        if not self.lives():
            return f"process {self.pid} has ended, and was: {self.says}"
        # A time in the future is from before a reboot, which starts the clock at 0 again.
        silent = now - self.written
        if not -STALLED_S < silent < STALLED_S:
            return f"process {self.pid} has written nothing for {abs(silent):.0f} s, and was: {self.says}"
        late = stalled(self.loops, now)
        return f"{', '.join(late)} stands still; {self.says}" if late else ""


FIELDS = {each.name for each in fields(Report)}


def stalled(loops: Mapping[str, float], now: float) -> list[str]:
    """Returns the names of the loops that have not come round for STALLED_S, each with its seconds."""
    return [f"{name} (for {now - due:.0f} s)" for name, due in loops.items() if now - due >= STALLED_S]


class HealthFile:
    """One agent's file. A failure to write it is logged once, and the agent goes on.

    `elsewhere` gives another path if the folder disappears.
    """

    def __init__(self, path: str, elsewhere: Callable[[], str] | None = None) -> None:
        self.path = path
        self._elsewhere = elsewhere
        self._first = True
        self._told = False

    def write(self, report: Report) -> None:
        """Replaces the file atomically: readers see the old report or the new one."""
        if self._first:
            self._warn_of_another(report.pid)
        self._first = False
        try:
            try:
                self._replace(report)
            except OSError:  # logind removes XDG_RUNTIME_DIR, for example, when a user logs out
                if self._elsewhere is None:
                    raise
                self.path = self._elsewhere()
                self._replace(report)
        except OSError as error:
            if not self._told:
                log.warning(
                    "MSS_HEALTH_FILE: cannot write %s (%s): `microscaling --health` will not see this agent",
                    self.path,
                    error.strerror,
                )
            self._told = True

    def _replace(self, report: Report) -> None:
        new = f"{self.path}.{report.pid}"  # another agent may write there too, by mistake
        # Not synced: it is of no use after a crash of the machine.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(new, flags, 0o644), "w", encoding="ascii") as file:
            json.dump(asdict(report), file)
        os.replace(new, self.path)

    def remove(self) -> None:
        """Removes the file at a regular end; one that stays is the mark of an end without a request."""
        try:
            if _read(self.path).pid == os.getpid():
                os.unlink(self.path)
        except (OSError, *UNREADABLE):
            pass

    def _warn_of_another(self, pid: int) -> None:
        try:
            other = _read(self.path)
        except (OSError, *UNREADABLE):
            return
        if other.pid != pid and other.lives():
            log.warning(
                "MSS_HEALTH_FILE: process %d writes to %s too: give each agent a file of its own",
                other.pid,
                self.path,
            )


def default_file(environ: Mapping[str, str]) -> str:
    """Returns the path for this process, in the first folder that this user owns and can write to. Removes
    the files of processes that have ended."""
    for path in found_files(environ):
        try:
            if not _read(path).lives():
                os.unlink(path)
        except (OSError, *UNREADABLE):
            continue
    folder = next(usable_folders(environ), _folders(environ)[0])
    return os.path.join(folder, own_name("health", "json", str(os.getpid())))


def usable_folders(environ: Mapping[str, str]) -> Iterator[str]:
    """Yields the folders that this user owns and can write to, made if they are not there, the best first."""
    for folder in _folders(environ):
        try:
            os.mkdir(folder, mode=0o700)
        except OSError:  # it exists already, or cannot be made: the check below decides
            pass
        if os.access(folder, os.W_OK) and not _is_foreign(folder):
            yield folder


def found_files(environ: Mapping[str, str]) -> list[str]:
    """Returns the files that agents of this user have written and not removed, also those with another
    environment than this one."""
    return found(environ, "health", "json")


def found(environ: Mapping[str, str], kind: str, suffix: str) -> list[str]:
    """Returns the paths of that kind in the folders that this user owns."""
    folders = dict.fromkeys(folder for folder in _folders(environ) if not _is_foreign(folder))
    name = own_name(kind, suffix, "*")
    return [path for folder in folders for path in sorted(glob.glob(f"{glob.escape(folder)}/{name}"))]


def _folders(environ: Mapping[str, str]) -> list[str]:
    parents = [environ.get("XDG_RUNTIME_DIR"), SHARED_MEMORY, environ.get("TMPDIR"), TEMPORARY]
    return [os.path.join(parent, f"microscaling-{os.geteuid()}") for parent in parents if parent]


def own_name(kind: str, suffix: str, pid: str) -> str:
    """Returns the name of the file of one process; `*` as the pid gives a pattern for all of this pid
    namespace."""
    # Containers of one pod share /dev/shm, but each has its own pids: see pid_namespaces(7).
    try:
        namespace = os.readlink(PID_NAMESPACE).strip("pid:[]")
    except OSError:
        namespace = "0"
    return f"{kind}-{namespace}-{pid}.{suffix}"


def _is_foreign(folder: str) -> bool:
    """Whether another user owns the folder, or it is a link."""
    # In a folder that is writable for all, another user could have made it first.
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    return not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid()


def _read(path: str) -> Report:
    """Reads a report. Raises OSError, or one of UNREADABLE if it is no health file."""
    with open(path, "rb") as file:
        data = json.loads(file.read(MAX_BYTES))
    # A later version may have written it, with more in it.
    report = Report(**{name: value for name, value in data.items() if name in FIELDS})
    if not isinstance(report.pid, int):
        raise TypeError("pid")
    return report


def check(path: str, now: float) -> tuple[bool, str]:
    """Returns whether the agent that writes this file is healthy, and one line about it."""
    try:
        report = _read(path)
        problem, says = report.problem(now), report.says
    except FileNotFoundError:
        return False, f"no agent runs: there is no {path}"
    except OSError as error:
        return False, f"{path} cannot be read: {error.strerror}"
    except UNREADABLE:
        return False, f"{path} is no health file of an agent"
    return not problem, one_line(problem or says)


def details(path: str, now: float) -> list[str]:
    """Returns a line for each task of the agent that writes this file; none if it has ended."""
    try:
        report = _read(path)
        if not report.lives():
            return []
        return [f"  {one_line(line)}{_ago(taken, now)}" for line, taken in report.tasks]
    except (OSError, *UNREADABLE):
        return []


def _ago(taken: float | None, now: float) -> str:
    return "" if taken is None else f"; read {max(0.0, now - taken):.1f} s ago"


def check_user(environ: Mapping[str, str], now: float) -> tuple[bool, str]:
    """Returns whether all running agents of this user are healthy, and one line about them. An agent that
    has ended without a request is named, but decides only if none runs."""
    living: list[str] = []
    ended: list[str] = []
    for path in found_files(environ):
        try:
            (living if _read(path).lives() else ended).append(path)
        except (OSError, *UNREADABLE):
            continue
    if not living and not ended:
        name = own_name("health", "json", "*")
        return False, f"no agent of this user runs here: there is no {name} in {_folders(environ)[0]}"
    if not living:
        return check(max(ended, key=_age), now)
    results = [check(path, now) for path in living]
    lines = [line for _, line in results]
    if len(living) > 1:
        lines = [f"process {_pid(path)}: {line}" for path, line in zip(living, lines, strict=True)]
        lines[0] = f"{len(living)} agents of this user run (to ask one, set MSS_HEALTH_FILE); {lines[0]}"
    return all(well for well, _ in results), "; ".join([*lines, *(check(path, now)[1] for path in ended)])


def _pid(path: str) -> str:
    return path.rpartition("-")[2].removesuffix(".json")


def _age(path: str) -> float:
    """Returns the time of the last write; 0.0 if the file has gone meanwhile."""
    return os.path.getmtime(path) if os.path.exists(path) else 0.0


def check_server(address: str) -> tuple[bool, str]:
    """Returns whether the server at this host:port is ready, and one line about it."""
    from http.client import HTTPConnection, HTTPException  # not needed for the check of an agent

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
        return False, f"there is no microscaling server at {one_line(address)}: {error!r}"
    return answer.status == 200, f"the server at {one_line(address)} answers: {one_line(said)}"
