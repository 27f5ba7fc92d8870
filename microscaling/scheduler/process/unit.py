"""The processes that count as one container."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

from microscaling.errors import PermanentError
from microscaling.scheduler.containers.backend import Event, ListedContainer, State
from microscaling.scheduler.process.family import Family, marked
from microscaling.scheduler.process.handle import Handle
from microscaling.scheduler.process.program import Program
from microscaling.scheduler.process.state import Entry
from microscaling.utils.process import Row, has_proc, may_run, row, snapshot

log = logging.getLogger("mssscheduler")

NUMBER = "MSS_WORKER_NUMBER"
"""The variable with the number of a process among those of its task that run, from 1 on."""
MARK = "MICROSCALING_PROCESS"
"""The variable in the environment of every process with its id. By it an agent finds processes that the last
one had started and not yet recorded."""
FREEZE_S = 5.0
"""Longest wait until a process has stopped by the signal."""
POLL_S = 0.005
"""Interval of the looks whether it has."""
IN_PATH = "{number}"
"""Stands in the path of a task's file for the number of the process."""


def file_of(path: str, number: int) -> str:
    """Returns the file of the process with that number."""
    return path.replace(IN_PATH, str(number))


class Unit:
    """One run of a task's command: reserved, then started, then ended. Its lock guards these steps."""

    def __init__(self, id: str, task: str, nonce: str, created: float, version: str = "") -> None:
        self.id = id
        self.task = task
        self.nonce = nonce
        self.created = created
        self.version = version
        self.program = Program()
        self.number = 0
        """Its number among those of its task that run, from its start on; 0 if it has none."""
        self.lock = threading.Lock()
        self.intended = False
        self.family: Family | None = None
        self.ended = threading.Event()
        """Set when all its processes have ended and the event was sent, or at its removal: it is never
        started again."""
        self._halted = False
        """Its leader was stopped by the agent, or when it was last looked at, and the agent has not let it go
        on."""

    def variables(self) -> dict[str, str]:
        """Returns the variables with its number, and with the paths of its files."""
        paths = {name: file_of(path, self.number) for name, path in self.program.files.items()}
        return {NUMBER: str(self.number), **paths}

    def clear_files(self) -> None:
        """Removes the files that a dead process with its number has left."""
        # They would count for the new one, which has done nothing yet.
        for name in self.program.files:
            with contextlib.suppress(OSError):
                os.unlink(self.variables()[name])

    @property
    def handle(self) -> Handle | None:
        """The leader's handle; None before the start."""
        return self.family.leader if self.family else None

    @property
    def over(self) -> bool:
        """True if it has ended."""
        return self.ended.is_set()

    def is_stopped(self) -> bool:
        """True if its leader was stopped by a signal, and not continued."""
        handle = self.handle
        if handle is None or self.over:
            return False
        found = row(handle.pid)
        return found is not None and found.started == handle.started and found.stopped

    def look_if_stopped(self) -> bool:
        """As `is_stopped`, and takes note of it for `went_on`."""
        with self.lock:
            self._halted = self.is_stopped()
            return self._halted

    def went_on(self) -> bool:
        """True if its leader was stopped, and others have let it go on: it may be at work."""
        return self._halted and not self.is_stopped()

    def freeze(self) -> None:
        """Stops all processes of its group, and returns when none of them runs any more. Raises
        PermanentError if one goes on."""
        if self.went_on():
            raise PermanentError("somebody has let it go on")
        handle, until, waited = self.handle, time.monotonic() + FREEZE_S, self._halted
        if handle is None:
            return
        # All at once: of an agent that is killed in between, the next one would find a part of them at work.
        self._signal_group(signal.SIGSTOP)
        mine = in_group(handle.pid)
        while has_proc() and not self.over:
            # Not at once, as the kernel stops a thread when it next runs: on a busy machine that takes 20 ms,
            # in which the place would be another's already.
            if self.is_stopped() and not any(may_run(row.pid, handle.pid) for row in mine):
                break
            if time.monotonic() >= until:
                if not waited:  # to one that has stopped itself it would be go
                    self.thaw()
                raise PermanentError("it goes on after SIGSTOP")
            self.ended.wait(POLL_S)
            if self._ends_vfork(handle.pid):
                self._signal_group(signal.SIGSTOP)
                mine = in_group(handle.pid)
        with self.lock:  # a look that is under way has seen it before
            self._halted = True

    def thaw(self) -> None:
        """Lets all processes of its group go on."""
        if self.handle is not None and not self.over:
            with self.lock:
                self._halted = False
                self.handle.signal_group(signal.SIGCONT)

    def _ends_vfork(self, leader: int) -> bool:
        """Lets children go on for a moment if the leader does not stop, as it waits for one that was stopped
        between vfork and exec. True if it had to."""
        found = row(leader)
        if found is None or not found.waits:
            return False
        # Not the leader: to it, SIGCONT may mean that it is to take jobs again.
        children = [one for one in in_group(leader) if one.parent == leader and one.stopped]
        for child in children:
            if handle := Handle.adopt(child.pid, child.started):
                handle.signal(signal.SIGCONT)
                handle.close()
        self.ended.wait(POLL_S)
        return bool(children)

    def ask(self, number: int, has_grace: bool) -> bool:
        """Asks it to end by a signal; returns False if it was asked before. The caller holds its lock, and it
        has started."""
        assert self.family is not None
        before = len(self.family.asked)
        self.family.ask(number)
        # While it is stopped no such signal reaches it. An engine lets what is paused go on, too.
        if has_grace and self.is_stopped():
            self._halted = False
            self.family.leader.signal_group(signal.SIGCONT)
        return len(self.family.asked) > before

    def _signal_group(self, number: int) -> None:
        if self.handle is not None and not self.over:
            with self.lock:
                self.handle.signal_group(number)

    def state(self) -> State:
        """Returns its state as a container."""
        if self.over:
            return State.EXITED
        return State.RUNNING if self.family else State.CREATED

    def seen(self, freezes: bool = False) -> ListedContainer:
        """Returns its entry in a listing. `freezes`: with a look whether it is stopped by a signal, which is
        made for one that was stopped before, too."""
        handle = self.handle
        return ListedContainer(
            self.id,
            self.task,
            self.state(),
            self.created,
            self.nonce,
            exit_code=handle.exit_code if self.over and handle else None,
            name=f"process {handle.pid}" if handle else "",
            number=self.number,
            version=self.version,
            paused=(freezes or self._halted) and self.look_if_stopped(),
        )

    def entry(self) -> Entry | None:
        """Returns its entry in the state file; None for a reserved one."""
        entry = Entry(self.id, self.task, self.nonce, self.created, number=self.number, version=self.version)
        if self.family is None:  # a reserved one has no process that could outlive the agent
            return entry if self.intended else None
        leader = self.family.leader
        return replace(entry, pid=leader.pid or None, started=leader.started, asked=tuple(self.family.asked))

    def event(self, kind: str, exit_code: int | None = None) -> Event:
        """Returns an event about it."""
        return Event(kind, self.id, self.task, self.nonce, exit_code)


def in_group(group: int) -> list[Row]:
    """Returns the processes of a group; none without /proc."""
    return [one for one in snapshot().values() if one.group == group] if has_proc() else []


def lowest_free(units: Iterable[Unit], task: str) -> int:
    """Returns the lowest number that no unit of the task has that runs, or is being started."""
    used = {unit.number for unit in units if unit.task == task and not unit.over}
    return next(number for number in range(1, len(used) + 2) if number not in used)


def adopt(entry: Entry) -> Unit | None:
    """Returns the unit of an entry; None if it was about to be started and does not run."""
    process = Unit(entry.id, entry.task, entry.nonce, entry.created, entry.version)
    process.intended, process.number = True, entry.number
    leader = Handle.adopt(entry.pid, entry.started) if entry.pid else None
    if leader is None:
        rows = marked(MARK, entry.id)
        if entry.pid:
            leader = Handle.ended(entry.pid, entry.started)
        elif rows:
            row = next((row for row in rows if row.group == row.pid), None)
            leader = Handle.adopt(row.pid, row.started) if row else None
            leader = leader or Handle.ended(0, rows[0].started)
        else:
            if not has_proc():
                log.warning(
                    "a process of %s may run unnoticed: the last agent ended at its start", entry.task
                )
            return None
    process.family = Family(leader, (MARK, entry.id), reparented=False)
    process.family.asked.update(entry.asked)
    process.look_if_stopped()  # the last agent has frozen it, most likely
    return process
