"""What the kernel says of processes: when each begins, stops, goes on and ends, without a gap between looks.

By tracefs, which needs root and no package. Its events are in the order in which they happened, for all
processors, and an end is traced before anybody can learn of it.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

STOP, CONT, KILL = (str(number.value) for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL))
EVENTS = {
    "task/task_newtask": "",
    "sched/sched_process_exit": "",
    "sched/sched_switch": "",
    "signal/signal_generate": " || ".join(f"sig == {number}" for number in (STOP, CONT, KILL)),
}
LINE = re.compile(r"^ *(?P<by>.+)-(?P<tid>\d+) +\[\d+\] \S+ +(?P<at>[\d.]+): (?P<kind>\w+): (?P<rest>.*)$")
WORD = re.compile(r"(\w+)=(\S+)")
CLONE_THREAD = 0x10000
BUFFER_KB = 65536
"""For all processors together."""
FIRST_NAMESPACE = "pid:[4026531836]"
"""Of pids: in another one a process has other numbers than in the trace."""
_numbers = itertools.count()


class NoTrace(Exception):
    """The reason why this machine shows nothing."""


class KernelTrace:
    """Keeps the events of what this thread starts in a `with` block, and of all that comes of it. Raises
    NoTrace."""

    def __init__(self, folder: Path) -> None:
        self._mount = folder / "tracing"
        # All mounts show the same instances, those of other runs of the tests included.
        self._mine = self._mount / "instances" / f"mss-{os.getpid()}-{next(_numbers)}"

    def __enter__(self) -> KernelTrace:
        if os.readlink("/proc/self/ns/pid") != FIRST_NAMESPACE:
            raise NoTrace("this is a namespace of pids, and the trace has those outside of it")
        self._mount.mkdir()
        done = subprocess.run(["mount", "-t", "tracefs", "none", self._mount], capture_output=True, text=True)
        if done.returncode:
            raise NoTrace(f"tracefs: {done.stderr.strip()}")
        try:
            self._mine.mkdir()
            (self._mine / "trace_clock").write_text("mono")
            (self._mine / "buffer_size_kb").write_text(str(BUFFER_KB // (os.cpu_count() or 1)))
            (self._mine / "options" / "event-fork").write_text("1")
            (self._mine / "set_event_pid").write_text(str(threading.get_native_id()))
            for event, only in EVENTS.items():
                if only:
                    (self._mine / "events" / event / "filter").write_text(only)
                (self._mine / "events" / event / "enable").write_text("1")
        except OSError as error:
            self.__exit__()
            raise NoTrace(f"tracefs: {error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._mine.exists():
            self._mine.rmdir()
        subprocess.run(["umount", self._mount], check=True)

    def lines(self) -> list[str]:
        """All events so far, in their order."""
        for stats in self._mine.glob("per_cpu/cpu*/stats"):
            assert "overrun: 0\n" in stats.read_text(), "events are lost: the buffer is too small"
        return [line for line in (self._mine / "trace").read_text().splitlines() if not line.startswith("#")]


@dataclass(eq=False)
class Process:
    """A process, with the states of its threads that have not ended."""

    unit: int = 0
    """The pid of the first process of its family; 0: it is an agent."""
    threads: dict[int, str] = field(default_factory=dict)
    """T: stopped, D: waits for what no signal interrupts; else it may run."""
    told: bool = False
    """It has got SIGSTOP, and no SIGCONT since."""
    killed: bool = False
    """While it was stopped: it runs nothing any more."""

    @property
    def awake(self) -> bool:
        """True if a thread may run its program. After SIGSTOP one in the state D does not before it stops."""
        states = self.threads.values()
        return not self.killed and any(s != "T" and not (s == "D" and self.told) for s in states)


@dataclass(frozen=True)
class Moment:
    """From this time on so many families are awake."""

    at: float
    awake: frozenset[int]
    why: str


class Families:
    """The families of processes that agents have started, from the events of the kernel.

    One counts from the fork of its first process to the end of its last one, but for the time in which no
    thread of any of its processes may run: from the moment at which the last one has stopped, and left the
    processor, to the next SIGCONT.
    """

    def __init__(self, agents: Iterable[int]) -> None:
        self._by_tid: dict[int, Process] = {pid: Process(0, {pid: ""}) for pid in agents}
        self._families: dict[int, list[Process]] = {}

    def follow(self, lines: Iterable[str]) -> Iterator[Moment]:
        """Yields each change."""
        awake: frozenset[int] = frozenset()
        for line in lines:
            found = LINE.match(line)
            if found is None:
                continue
            self._take(found["kind"], int(found["tid"]), dict(WORD.findall(found["rest"])))
            now = frozenset(
                unit for unit, all_of_it in self._families.items() if any(p.awake for p in all_of_it)
            )
            if now != awake:
                awake = now
                yield Moment(float(found["at"]), awake, line)

    def _take(self, kind: str, by: int, told: dict[str, str]) -> None:
        if kind == "sched_switch":
            self._switches(int(told["prev_pid"]), told["prev_state"], int(told["next_pid"]))
        elif kind == "task_newtask":
            self._begins(by, int(told["pid"]), is_thread=bool(int(told["clone_flags"], 16) & CLONE_THREAD))
        elif (process := self._by_tid.get(tid := int(told["pid"]))) is None:
            return
        elif kind == "sched_process_exit":
            del self._by_tid[tid], process.threads[tid]
            if process.unit and not process.threads:
                self._families[process.unit].remove(process)
        elif told["sig"] == STOP:
            process.told = True
        elif told["sig"] == KILL:
            process.killed = not process.awake
        else:
            process.told = False
            process.threads = {tid: "" if state == "T" else state for tid, state in process.threads.items()}

    def _switches(self, before: int, state: str, after: int) -> None:
        if before in self._by_tid:
            self._by_tid[before].threads[before] = state[0]
        process = self._by_tid.get(after)
        # After SIGSTOP, one that comes back from the kernel stops before it runs its program.
        if process is not None and not process.told:
            process.threads[after] = ""

    def _begins(self, by: int, tid: int, is_thread: bool) -> None:
        parent = self._by_tid.get(by)
        if parent is None:
            return
        if is_thread:
            child = parent
        else:
            child = Process(parent.unit or tid)
            self._families.setdefault(child.unit, []).append(child)
        child.threads[tid] = ""
        self._by_tid[tid] = child
